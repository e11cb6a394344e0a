/* A select server on libmodbus's public API: the opponent of our own server.
 *
 * One context and one register table serve all connections; the context is pointed at whichever
 * connection select() reports. Holding register k holds k. Loopback addresses only.
 *
 * Build: cc -O2 -o libmodbus_server libmodbus_server.c -lmodbus
 * Run:   libmodbus_server ADDRESS PORT     (prints "ready"; SIGTERM ends it, 600 s at the latest)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <unistd.h>

enum { REGISTERS = 125, BACKLOG = 1024, LIFE_S = 600 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

/* Take one connection in. The select() inside libmodbus bounds descriptors as ours does. */
static int admit(modbus_t *context, int listener, fd_set *open_set)
{
    int on = 1;
    int connection = modbus_tcp_accept(context, &listener);
    if (connection < 0)
        return -1;
    if (connection >= FD_SETSIZE) {
        close(connection);
        return -1;
    }
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    FD_SET(connection, open_set);
    return connection;
}

/* Read one request and answer it; false when the connection is at its end. */
static int answer(modbus_t *context, int connection, modbus_mapping_t *table)
{
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    int length;

    modbus_set_socket(context, connection);
    length = modbus_receive(context, request);
    if (length < 0)
        return 0;
    return length == 0 || modbus_reply(context, request, length, table) >= 0;
}

static void serve(modbus_t *context, int listener, modbus_mapping_t *table)
{
    fd_set open_set, ready_set;
    int highest = listener;

    FD_ZERO(&open_set);
    FD_SET(listener, &open_set);
    while (!stopped) {
        int waiting, descriptor;

        ready_set = open_set;
        waiting = select(highest + 1, &ready_set, NULL, NULL, NULL);
        if (waiting < 0)
            continue;
        if (FD_ISSET(listener, &ready_set)) {
            int connection = admit(context, listener, &open_set);
            if (connection > highest)
                highest = connection;
            waiting--;
        }
        for (descriptor = listener + 1; waiting > 0 && descriptor <= highest; descriptor++) {
            if (!FD_ISSET(descriptor, &ready_set))
                continue;
            waiting--;
            if (!answer(context, descriptor, table)) {
                close(descriptor);
                FD_CLR(descriptor, &open_set);
            }
        }
    }
}

int main(int count, char **words)
{
    struct sigaction action = {.sa_handler = stop};
    struct in_addr address;
    modbus_t *context;
    modbus_mapping_t *table;
    int listener, k;

    if (count != 3 || inet_pton(AF_INET, words[1], &address) != 1
        || ntohl(address.s_addr) >> 24 != 127) {
        fprintf(stderr, "usage: %s ADDRESS PORT, the address in 127.0.0.0/8\n", words[0]);
        return 2;
    }
    /* without SA_RESTART, so that select() returns */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm(LIFE_S);
    context = modbus_new_tcp(words[1], atoi(words[2]));
    table = modbus_mapping_new(0, 0, REGISTERS, 0);
    if (context == NULL || table == NULL)
        return failed("memory");
    for (k = 0; k < REGISTERS; k++)
        table->tab_registers[k] = (uint16_t)k;
    listener = modbus_tcp_listen(context, BACKLOG);
    if (listener < 0)
        return failed("listen");
    printf("ready\n");
    fflush(stdout);
    serve(context, listener, table);
    modbus_mapping_free(table);
    modbus_free(context);
    return 0;
}
