"""What layers bring and waste, counted once more from the tars themselves:

    layer_sums.py LAYOUT

Of an OCI layout with one image, whose layers hold directories, files and whiteouts and no links.
Prints JSON. What is counted: bytes of files; a file is wasted when a later layer has its path again,
or removes it. The efficiency is, for each path, its least size in any layer (0 where one removes it),
all of these to all sizes.
"""

import json
import posixpath
import sys
import tarfile


def open_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    layout = sys.argv[1]

    def blob(digest):
        return "/".join([layout, "blobs", *digest.split(":")])

    manifest = open_json(blob(open_json(layout + "/index.json")["manifests"][0]["digest"]))
    there, sizes, wasted, brought, lost = {}, {}, {}, [], [0] * len(manifest["layers"])

    def hide(path, removed):
        size, layer = there.pop(path)
        lost[layer] += size
        wasted[path] = wasted.get(path, 0) + size
        if removed:
            sizes[path].append(0)

    for i, layer in enumerate(manifest["layers"]):
        with tarfile.open(blob(layer["digest"])) as archive:
            entries = [(posixpath.normpath("/" + entry.name), entry) for entry in archive]
        files = {path: entry.size for path, entry in entries if entry.isreg() and "/.wh." not in path}
        gone = []
        for path, _ in entries:
            directory, name = posixpath.split(path)
            if name == ".wh..wh..opq":
                gone += [p for p in there if p.startswith(directory + "/")]
            elif name.startswith(".wh."):
                target = posixpath.join(directory, name[4:])
                gone += [p for p in there if p == target or p.startswith(target + "/")]
        for path in sorted(set(gone)):
            hide(path, path not in files)
        for path, size in files.items():
            if path in there:
                hide(path, False)
            there[path] = (size, i)
            sizes.setdefault(path, []).append(size)
        brought.append(sum(files.values()))
    total = sum(brought)
    print(json.dumps({
        "bytes": total, "brought": brought, "lost": lost, "final": sum(size for size, _ in there.values()),
        "efficiency": sum(min(s) for s in sizes.values()) / total,
        "wasted": sorted(([path, n] for path, n in wasted.items() if n), key=lambda item: (-item[1], item[0])),
    }))


main()
