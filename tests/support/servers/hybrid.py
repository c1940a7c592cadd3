"""The vsock of Firecracker and cloud-hypervisor, as a host sees it: a socket that takes
"CONNECT PORT", answers "OK NUMBER" and is then the guest's. hybrid.py LISTEN PORT GUEST"""
import os
import socket
import sys
import threading

listen, port, guest = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(listen + ".new")
server.listen()
os.rename(listen + ".new", listen)


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


while True:
    host, _ = server.accept()
    line = b""
    while not line.endswith(b"\n") and (byte := host.recv(1)):
        line += byte
    if line != b"CONNECT %s\n" % port.encode():
        host.close()
        continue
    inside = socket.socket(socket.AF_UNIX)
    inside.connect(guest)
    host.sendall(b"OK 1073741824\n")
    threading.Thread(target=pump, args=(host, inside), daemon=True).start()
    threading.Thread(target=pump, args=(inside, host), daemon=True).start()
