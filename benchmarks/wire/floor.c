/* What the kernel takes: epoll, one recv and one send a request, and nothing between them.
 *
 * It is no server. It reads no length, no function and no address, and answers everything with
 * registers 0 to 99, which hold their own numbers. What a server of this shape needs above it is
 * the server's own work. Loopback addresses only.
 *
 * Build: cc -O2 -o floor floor.c
 * Run:   floor ADDRESS PORT     (prints "ready"; ends with its parent, 600 s at the latest)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REGISTERS = 100, HEADER = 9, BATCH = 256, BACKLOG = 1024, LIFE_S = 600 };

static void admit(int poll, int listener)
{
    struct epoll_event event = {.events = EPOLLIN};
    int on = 1;

    event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (event.data.fd < 0)
        return;
    setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
}

static void serve(int listener)
{
    static struct epoll_event events[BATCH];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    uint8_t request[260], answer[HEADER + 2 * REGISTERS] = {0};
    int poll = epoll_create1(0), i, n;

    for (i = 0; i < REGISTERS; i++)
        answer[HEADER + 2 * i + 1] = (uint8_t)i;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        n = epoll_wait(poll, events, BATCH, -1);
        for (i = 0; i < n; i++) {
            int connection = events[i].data.fd;

            if (connection == listener) {
                admit(poll, listener);
            } else if (recv(connection, request, sizeof request, 0) <= 0) {
                close(connection);
            } else {
                memcpy(answer, request, 8);
                answer[5] = sizeof answer - 6;
                answer[8] = 2 * REGISTERS;
                send(connection, answer, sizeof answer, MSG_NOSIGNAL);
            }
        }
    }
}

int main(int count, char **words)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (count != 3 || inet_pton(AF_INET, words[1], &at.sin_addr) != 1
        || ntohl(at.sin_addr.s_addr) >> 24 != 127) {
        fprintf(stderr, "usage: %s ADDRESS PORT, the address in 127.0.0.0/8\n", words[0]);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm(LIFE_S);
    at.sin_port = htons((uint16_t)atoi(words[2]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, BACKLOG) != 0) {
        perror("listen");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    serve(listener);
}
