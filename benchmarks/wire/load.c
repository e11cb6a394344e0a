/* Load generator for Modbus/TCP servers: one thread, epoll, loopback only.
 *
 * Every connection keeps exactly one request in flight: function 3, address 0, unit 1. Every
 * answer is checked; a connection whose answer is wrong is closed and counted as one error.
 * Prints one line of JSON. Exit status: 0 no errors, 1 errors, 2 bad arguments.
 *
 * Build: cc -O2 -o load load.c
 * Run:   load --address 127.0.0.1 --port 5020 [--connections 50] [--seconds 3] [--requests K]
 *             [--registers 100] [--timeout 5] [--spread] [--ramp] [--wait]
 *
 * --spread   connection i goes to address + i
 * --ramp     register k must hold k
 * --wait     after one request on each connection print "connected" and begin when a line comes
 *            on standard input; connections stay open after the result until its end
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 9, MOST_REGISTERS = 125, BATCH = 1024, SCAN_US = 250000 };
enum { MOST_CONNECTIONS = 20000, MOST_SECONDS = 600, MOST_REQUESTS = 1000000000 };
enum { BUCKETS = 2000001 }; /* of 1 us; the last one takes what is longer */

enum wrong {
    FINE, PENDING, /* no errors these two */
    CONNECT, CLOSED, SILENT, TRANSACTION, PROTOCOL, LENGTH, UNIT, FUNCTION, BYTE_COUNT, CONTENT,
    SURPLUS, KINDS
};
static const char *const NAMES[KINDS] = {
    "", "", "connect", "closed", "silent", "transaction", "protocol", "length", "unit",
    "function", "byte_count", "content", "surplus"};

struct connection {
    int socket; /* -1 when closed */
    int have;
    int in_flight;
    uint16_t transaction;
    int64_t sent_us;
    uint8_t answer[HEADER + 2 * MOST_REGISTERS + 1]; /* one more, to see a surplus */
};

static struct {
    struct in_addr address;
    int port, connections, seconds, registers, timeout_s, spread, ramp, wait;
    long requests;
} want = {.connections = 50, .seconds = 3, .registers = 100, .timeout_s = 5};

static long errors[KINDS];
static uint32_t buckets[BUCKETS];
static long answered, sent;
static int64_t longest_us;
static uint8_t ramp[2 * MOST_REGISTERS];

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void drop(struct connection *c, enum wrong why)
{
    errors[why]++;
    if (c->socket >= 0)
        close(c->socket);
    c->socket = -1;
    c->in_flight = 0;
}

/* Send the next request; false when the connection is lost. */
static int ask(struct connection *c)
{
    uint8_t request[12] = {0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, (uint8_t)want.registers};

    c->transaction++;
    request[0] = (uint8_t)(c->transaction >> 8);
    request[1] = (uint8_t)c->transaction;
    c->have = 0;
    c->sent_us = now_us();
    if (send(c->socket, request, sizeof request, MSG_NOSIGNAL) != sizeof request) {
        drop(c, CLOSED);
        return 0;
    }
    c->in_flight = 1;
    return 1;
}

/* Judge what has been received so far. An exception is a wrong function, whatever its length. */
static enum wrong judge(const struct connection *c)
{
    const uint8_t *a = c->answer;
    int size = 2 * want.registers, length = size + 3;

    if (c->have < 6)
        return PENDING;
    if ((a[0] << 8 | a[1]) != c->transaction)
        return TRANSACTION;
    if (a[2] != 0 || a[3] != 0)
        return PROTOCOL;
    if ((a[4] << 8 | a[5]) != length && (a[4] << 8 | a[5]) != 3)
        return LENGTH;
    if (c->have < 8)
        return PENDING;
    if (a[6] != 1)
        return UNIT;
    if (a[7] != 3)
        return FUNCTION;
    if ((a[4] << 8 | a[5]) != length)
        return LENGTH;
    if (c->have < HEADER)
        return PENDING;
    if (a[8] != size)
        return BYTE_COUNT;
    if (c->have < HEADER + size)
        return PENDING;
    if (c->have > HEADER + size)
        return SURPLUS;
    if (want.ramp && memcmp(a + HEADER, ramp, (size_t)size) != 0)
        return CONTENT;
    return FINE;
}

/* Take in what is there. A wrong answer drops the connection. */
static enum wrong take(struct connection *c)
{
    size_t room = (size_t)(HEADER + 2 * want.registers + 1 - c->have);
    ssize_t n = recv(c->socket, c->answer + c->have, room, 0);
    enum wrong verdict;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        verdict = PENDING;
    } else if (n <= 0) {
        verdict = CLOSED;
    } else if (!c->in_flight) {
        verdict = SURPLUS;
    } else {
        c->have += (int)n;
        verdict = judge(c);
    }
    if (verdict > PENDING)
        drop(c, verdict);
    return verdict;
}

/* Connect and have one request answered, so that no backlog overflows and no server is cold. */
static void open_connection(struct connection *c, int number)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.port)};
    struct timeval limit = {.tv_sec = want.timeout_s};
    enum wrong verdict = PENDING;
    int on = 1;

    to.sin_addr.s_addr = htonl(ntohl(want.address.s_addr) + (uint32_t)(want.spread ? number : 0));
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&to, sizeof to) != 0) {
        drop(c, CONNECT);
        return;
    }
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (!ask(c))
        return;
    while (verdict == PENDING) {
        verdict = take(c);
        if (verdict == PENDING && now_us() - c->sent_us > (int64_t)want.timeout_s * 1000000) {
            drop(c, SILENT);
            return;
        }
    }
    c->in_flight = 0;
    if (c->socket >= 0)
        fcntl(c->socket, F_SETFL, O_NONBLOCK);
}

static int more(int64_t now, int64_t end)
{
    return now < end && (want.requests == 0 || sent < want.requests);
}

static void count(int64_t latency_us)
{
    buckets[latency_us < BUCKETS ? latency_us : BUCKETS - 1]++;
    if (latency_us > longest_us)
        longest_us = latency_us;
    answered++;
}

/* Ask and count until the end; what is then in flight is waited for. */
static void run(struct connection *all, int poll)
{
    static struct epoll_event events[BATCH];
    int64_t start = now_us(), end = start + (int64_t)want.seconds * 1000000, scanned = start;
    long flying = 0;
    int i, n;

    for (i = 0; i < want.connections; i++) {
        if (all[i].socket >= 0 && more(start, end) && ask(&all[i])) {
            sent++;
            flying++;
        }
    }
    while (flying > 0) {
        int64_t now;

        n = epoll_wait(poll, events, BATCH, SCAN_US / 1000);
        for (i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            int was = c->in_flight;
            enum wrong verdict = c->socket < 0 ? PENDING : take(c);

            if (verdict == FINE) {
                now = now_us();
                count(now - c->sent_us);
                c->in_flight = 0;
                if (more(now, end) && ask(c))
                    sent++;
                else
                    flying--;
            } else if (verdict != PENDING) {
                flying -= was;
            }
        }
        now = now_us();
        if (now - scanned < SCAN_US)
            continue;
        scanned = now;
        for (i = 0; i < want.connections; i++) {
            if (all[i].in_flight && now - all[i].sent_us > (int64_t)want.timeout_s * 1000000) {
                drop(&all[i], SILENT);
                flying--;
            }
        }
    }
}

/* The latency below which a share of the answers stayed; 0 without answers. */
static long quantile(double share)
{
    long below = 0, rank = (long)(share * (double)answered);
    long us;

    if (answered == 0)
        return 0;
    for (us = 0; us < BUCKETS - 1; us++) {
        below += buckets[us];
        if (below > rank)
            break;
    }
    return us;
}

static long report(double seconds)
{
    const char *comma = "";
    long total = 0;
    int kind;

    for (kind = CONNECT; kind < KINDS; kind++)
        total += errors[kind];
    printf("{\"requests\": %ld, \"errors\": %ld, \"seconds\": %.6f, \"p50_us\": %ld, "
           "\"p99_us\": %ld, \"max_us\": %ld, \"wrong\": {",
           answered, total, seconds, quantile(0.5), quantile(0.99), (long)longest_us);
    for (kind = CONNECT; kind < KINDS; kind++) {
        if (errors[kind] > 0) {
            printf("%s\"%s\": %ld", comma, NAMES[kind], errors[kind]);
            comma = ", ";
        }
    }
    printf("}}\n");
    fflush(stdout);
    return total;
}

static long number(const char *name, const char *text, long least, long most)
{
    char *rest;
    long value = strtol(text, &rest, 10);

    if (*text == '\0' || *rest != '\0' || value < least || value > most) {
        fprintf(stderr, "load: --%s %s: a number from %ld to %ld is allowed\n", name, text, least,
                most);
        exit(2);
    }
    return value;
}

static void arguments(int count_, char **words)
{
    static const struct option OPTIONS[] = {
        {"address", 1, 0, 'a'}, {"port", 1, 0, 'p'}, {"connections", 1, 0, 'c'},
        {"seconds", 1, 0, 's'}, {"requests", 1, 0, 'k'}, {"registers", 1, 0, 'r'},
        {"timeout", 1, 0, 't'}, {"spread", 0, 0, 'S'}, {"ramp", 0, 0, 'R'}, {"wait", 0, 0, 'W'},
        {0, 0, 0, 0}};
    uint32_t last;
    int letter;

    while ((letter = getopt_long(count_, words, "", OPTIONS, NULL)) != -1) {
        switch (letter) {
        case 'a':
            if (inet_pton(AF_INET, optarg, &want.address) != 1) {
                fprintf(stderr, "load: --address %s: not an IPv4 address\n", optarg);
                exit(2);
            }
            break;
        case 'p': want.port = (int)number("port", optarg, 1, 65535); break;
        case 'c': want.connections = (int)number("connections", optarg, 1, MOST_CONNECTIONS); break;
        case 's': want.seconds = (int)number("seconds", optarg, 1, MOST_SECONDS); break;
        case 'k': want.requests = number("requests", optarg, 1, MOST_REQUESTS); break;
        case 'r': want.registers = (int)number("registers", optarg, 1, MOST_REGISTERS); break;
        case 't': want.timeout_s = (int)number("timeout", optarg, 1, 60); break;
        case 'S': want.spread = 1; break;
        case 'R': want.ramp = 1; break;
        case 'W': want.wait = 1; break;
        default: exit(2);
        }
    }
    last = ntohl(want.address.s_addr) + (uint32_t)(want.spread ? want.connections - 1 : 0);
    if (ntohl(want.address.s_addr) >> 24 != 127 || last >> 24 != 127 || want.port == 0) {
        fprintf(stderr, "load: --address in 127.0.0.0/8 (the last one too) and --port wanted\n");
        exit(2);
    }
}

int main(int count_, char **words)
{
    struct rlimit files;
    struct connection *all;
    int64_t start;
    int i, poll;
    char line[64];
    double seconds;
    long wrong;

    arguments(count_, words);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (i = 0; i < MOST_REGISTERS; i++)
        ramp[2 * i + 1] = (uint8_t)i;
    all = calloc((size_t)want.connections, sizeof *all);
    poll = epoll_create1(0);
    if (all == NULL || poll < 0)
        return 2;
    for (i = 0; i < want.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        open_connection(&all[i], i);
        if (all[i].socket >= 0)
            epoll_ctl(poll, EPOLL_CTL_ADD, all[i].socket, &event);
    }
    if (want.wait) {
        printf("connected\n");
        fflush(stdout);
        if (fgets(line, sizeof line, stdin) == NULL)
            return 1;
    }
    start = now_us();
    run(all, poll);
    seconds = (double)(now_us() - start) / 1e6;
    wrong = report(seconds);
    while (want.wait && fgets(line, sizeof line, stdin) != NULL)
        ;
    return wrong > 0;
}
