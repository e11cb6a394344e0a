/* libmodbus's client, told by lines on standard input what to ask.
 *
 *   open ADDRESS PORT UNIT
 *   read TABLE FIRST COUNT           TABLE: coil discrete input holding
 *   write TABLE FIRST VALUE...       one value: functions 5 and 6, more: 15 and 16
 *   mask FIRST AND OR
 *   both READ COUNT WRITE VALUE...
 *   float ORDER TABLE FIRST          ORDER: ABCD CDAB BADC DCBA, converted by the library
 *   whole WIDTH TABLE FIRST          2 or 4 registers, signed, the library's own order
 *
 * Each line is answered by one: "= VALUES", or "! CODE" with the exception that came back, or
 * "? TEXT" for anything else.
 *
 * Build: cc -o libmodbus_client libmodbus_client.c -lmodbus
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <modbus/modbus.h>

#define MOST 2000
#define PATIENCE_S 10

static modbus_t *link_ = NULL;
static uint8_t bits[MOST];
static uint16_t words[MOST];

static int failed(void)
{
    int code = errno - MODBUS_ENOBASE;
    if (code > 0 && code < 12)
        printf("! %d\n", code);
    else
        printf("? %s\n", modbus_strerror(errno));
    return -1;
}

static int next_number(void)
{
    char *text = strtok(NULL, " \n");
    return text == NULL ? -1 : atoi(text);
}

static const char *next_word(void)
{
    char *text = strtok(NULL, " \n");
    return text == NULL ? "" : text;
}

static void open_link(void)
{
    char address[64];
    snprintf(address, sizeof address, "%s", next_word());
    int port = next_number();
    int unit = next_number();
    if (link_ != NULL) {
        modbus_close(link_);
        modbus_free(link_);
    }
    link_ = modbus_new_tcp(address, port);
    if (link_ == NULL || modbus_set_slave(link_, unit) != 0 ||
        modbus_set_response_timeout(link_, PATIENCE_S, 0) != 0 || modbus_connect(link_) != 0)
        failed();
    else
        printf("=\n");
}

/* Read into `bits` or `words`; return how many, or -1 with the reason printed. */
static int fetch(const char *table, int first, int count)
{
    int got = -1;
    if (count < 1 || count > MOST) {
        printf("? count\n");
        return -1;
    }
    if (strcmp(table, "coil") == 0)
        got = modbus_read_bits(link_, first, count, bits);
    else if (strcmp(table, "discrete") == 0)
        got = modbus_read_input_bits(link_, first, count, bits);
    else if (strcmp(table, "input") == 0)
        got = modbus_read_input_registers(link_, first, count, words);
    else
        got = modbus_read_registers(link_, first, count, words);
    return got == count ? got : failed();
}

static void show_words(int count)
{
    printf("=");
    for (int i = 0; i < count; i++)
        printf(" %u", words[i]);
    printf("\n");
}

static void read_values(void)
{
    const char *table = next_word();
    int first = next_number();
    int count = fetch(table, first, next_number());
    if (count < 0)
        return;
    if (strcmp(table, "input") == 0 || strcmp(table, "holding") == 0) {
        show_words(count);
        return;
    }
    printf("=");
    for (int i = 0; i < count; i++)
        printf(" %u", bits[i]);
    printf("\n");
}

/* Take the rest of the line as values. */
static int take_values(void)
{
    int count = 0;
    for (int value = next_number(); value >= 0 && count < MOST; value = next_number()) {
        words[count] = (uint16_t)value;
        bits[count++] = value != 0;
    }
    return count;
}

static void write_values(void)
{
    const char *table = next_word();
    int first = next_number();
    int count = take_values();
    int done;
    if (strcmp(table, "coil") == 0)
        done = count == 1 ? modbus_write_bit(link_, first, bits[0])
                          : modbus_write_bits(link_, first, count, bits);
    else
        done = count == 1 ? modbus_write_register(link_, first, words[0])
                          : modbus_write_registers(link_, first, count, words);
    if (done == count)
        printf("=\n");
    else
        failed();
}

static void mask(void)
{
    int first = next_number();
    int and_mask = next_number();
    int or_mask = next_number();
    if (modbus_mask_write_register(link_, first, (uint16_t)and_mask, (uint16_t)or_mask) < 0)
        failed();
    else
        printf("=\n");
}

static void both(void)
{
    int first = next_number();
    int count = next_number();
    int place = next_number();
    int given = take_values();
    uint16_t source[MOST];
    memcpy(source, words, sizeof source);
    if (modbus_write_and_read_registers(link_, place, given, source, first, count, words) != count)
        failed();
    else
        show_words(count);
}

static void show_float(void)
{
    const char *order = next_word();
    const char *table = next_word();
    if (fetch(table, next_number(), 2) < 0)
        return;
    float value = strcmp(order, "ABCD") == 0   ? modbus_get_float_abcd(words)
                  : strcmp(order, "CDAB") == 0 ? modbus_get_float_cdab(words)
                  : strcmp(order, "BADC") == 0 ? modbus_get_float_badc(words)
                                               : modbus_get_float_dcba(words);
    printf("= %.9g\n", (double)value);
}

static void show_whole(void)
{
    int width = next_number();
    const char *table = next_word();
    if (fetch(table, next_number(), width) < 0)
        return;
    if (width == 2)
        printf("= %" PRId32 "\n", (int32_t)MODBUS_GET_INT32_FROM_INT16(words, 0));
    else
        printf("= %" PRId64 "\n", (int64_t)MODBUS_GET_INT64_FROM_INT16(words, 0));
}

int main(void)
{
    static char line[16 * MOST];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *what = strtok(line, " \n");
        if (what == NULL)
            continue;
        if (strcmp(what, "open") == 0)
            open_link();
        else if (link_ == NULL)
            printf("? not open\n");
        else if (strcmp(what, "read") == 0)
            read_values();
        else if (strcmp(what, "write") == 0)
            write_values();
        else if (strcmp(what, "mask") == 0)
            mask();
        else if (strcmp(what, "both") == 0)
            both();
        else if (strcmp(what, "float") == 0)
            show_float();
        else if (strcmp(what, "whole") == 0)
            show_whole();
        else
            printf("? %s\n", what);
        fflush(stdout);
    }
    if (link_ != NULL) {
        modbus_close(link_);
        modbus_free(link_);
    }
    return 0;
}
