/* A Modbus meter made with libmodbus, for tests: the words of "address word" lines on stdin are its registers.
   libmodbus_meter tcp            listens on a free port of 127.0.0.1 and prints it
   libmodbus_meter rtu DEVICE UNIT  is a slave on DEVICE at 115200 8N1 and prints "ready" */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(modbus_t *ctx, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int length = modbus_receive(ctx, query);
        if (length > 0)
            modbus_reply(ctx, query, length, map);
        else if (length == -1 && errno != EMBBADCRC)
            return errno;
    }
}

int main(int argc, char **argv)
{
    modbus_mapping_t *map = modbus_mapping_new(0, 0, 0x6400, 0x6400);
    unsigned address, word;
    while (scanf("%x %x", &address, &word) == 2 && address < 0x6400)
        map->tab_registers[address] = map->tab_input_registers[address] = (uint16_t) word;
    if (argc == 2 && !strcmp(argv[1], "tcp")) {
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof here;
        modbus_t *ctx = modbus_new_tcp("127.0.0.1", 1502);
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *) &here, size) || listen(listener, 1)
            || getsockname(listener, (struct sockaddr *) &here, &size))
            return 1;
        printf("%d\n", ntohs(here.sin_port));
        fflush(stdout);
        while (modbus_tcp_accept(ctx, &listener) != -1)
            serve(ctx, map);
        return 1;
    }
    if (argc == 4 && !strcmp(argv[1], "rtu")) {
        modbus_t *ctx = modbus_new_rtu(argv[2], 115200, 'N', 8, 1);
        modbus_set_slave(ctx, atoi(argv[3]));
        if (modbus_connect(ctx) == -1)
            return 1;
        puts("ready");
        fflush(stdout);
        serve(ctx, map);
    }
    return 1;
}
