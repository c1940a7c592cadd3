/* Connects to a vsock address and sends what it reads: vsock CID PORT. Prints how many
 * bytes came back before the end. Static, for a guest without anything. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
	sa_family_t family;
	uint16_t reserved;
	uint32_t port;
	uint32_t cid;
	uint8_t rest[4];
};

int main(int argc, char **argv)
{
	struct address to = {.family = AF_VSOCK};
	char buf[4096];
	size_t count = 0;
	ssize_t n;
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (argc != 3)
		return 2;
	to.cid = (uint32_t)strtoul(argv[1], NULL, 10);
	to.port = (uint32_t)strtoul(argv[2], NULL, 10);
	alarm(10);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("connect");
		return 1;
	}
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
			break;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		count += (size_t)n;
	printf("%zu bytes came back\n", count);
	return 0;
}
