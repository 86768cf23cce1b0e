#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MOST (1 << 20)
#define EVENTS_MOST 1024
#define HEADER_MOST 14
/* RFC 6455 1.3: the key of its example, and the answer to it. */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

uint64_t pings_answered;
static int loop = -1, webhooks = -1;
static struct conn *gone; /* freed after the turn: its events may name them still */
static uint8_t arrived[READ_MOST];

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

size_t frame(uint8_t *out, enum opcode opcode, const void *payload, size_t size) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t head = 2;
    out[0] = 0x80 | opcode;
    if (size < 126) {
        out[1] = 0x80 | size;
    } else if (size < 65536) {
        out[1] = 0x80 | 126;
        out[2] = size >> 8;
        out[3] = size;
        head = 4;
    } else {
        out[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++) out[2 + i] = (uint64_t)size >> (56 - 8 * i);
        head = 10;
    }
    memcpy(out + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) out[head + i] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
    return head + size;
}

static void watch(struct conn *c, int operation, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(loop, operation, c->fd, &event)) fail("epoll: %s", strerror(errno));
}

void net_open(int listener) {
    loop = epoll_create1(EPOLL_CLOEXEC);
    webhooks = listener;
    if (webhooks < 0) return;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, webhooks, &event)) fail("epoll: %s", strerror(errno));
}

static struct conn *new_conn(int fd, enum role role, enum stage stage, int user, int app) {
    struct conn *c = calloc(1, sizeof *c);
    int on = 1;
    *c = (struct conn){.fd = fd, .role = role, .stage = stage, .user = user, .app = app};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLL_CTL_ADD, stage == CONNECTING);
    return c;
}

struct conn *net_connect(int port, enum role role, int user, int app, char *path) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("no socket for user %d: %s", user, strerror(errno));
    if (connect(fd, (void *)&to, sizeof to) && errno != EINPROGRESS)
        fail("cannot connect: %s", strerror(errno));
    struct conn *c = new_conn(fd, role, CONNECTING, user, app);
    c->path = path;
    return c;
}

void net_drop(struct conn *c) {
    if (c->stage == GONE) return;
    close(c->fd);
    c->stage = GONE;
    c->next_gone = gone;
    gone = c;
}

static void lost(struct conn *c) {
    if (c->stage == GONE) return;
    net_drop(c);
    on_end(c);
}

static void keep(uint8_t **kept, size_t *kept_size, const uint8_t *data, size_t size) {
    *kept = realloc(*kept, *kept_size + size);
    memcpy(*kept + *kept_size, data, size);
    *kept_size += size;
}

void net_send(struct conn *c, const void *data, size_t size) {
    if (c->stage == GONE) return;
    ssize_t taken = 0;
    if (!c->out_len) {
        taken = send(c->fd, data, size, MSG_NOSIGNAL);
        if (taken == (ssize_t)size) return;
        if (taken < 0 && errno != EAGAIN) return; /* the end is read, too */
        if (taken < 0) taken = 0;
        watch(c, EPOLL_CTL_MOD, true);
    }
    keep(&c->out, &c->out_len, (const uint8_t *)data + taken, size - taken);
}

static void send_kept(struct conn *c) {
    ssize_t taken = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
    if (taken < 0) return;
    c->out_len -= taken;
    memmove(c->out, c->out + taken, c->out_len);
    if (c->out_len) return;
    free(c->out);
    c->out = NULL;
    watch(c, EPOLL_CTL_MOD, false);
}

void net_text(struct conn *c, const char *text) {
    uint8_t out[2048];
    size_t size = strlen(text);
    if (size + HEADER_MOST > sizeof out) fail("too long a text: %s", text);
    net_send(c, out, frame(out, TEXT, text, size));
}

void net_close(struct conn *c) {
    uint8_t out[16];
    net_send(c, out, frame(out, CLOSE, "\x03\xe8", 2));
}

static size_t upgraded(struct conn *c, size_t size) {
    uint8_t *end = memmem(arrived, size, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end - arrived + 4;
    if (memcmp(arrived, "HTTP/1.1 101", 12) || !memmem(arrived, head, ACCEPT, strlen(ACCEPT)))
        fail("no WebSocket for user %d: %.*s", c->user, (int)(size < 300 ? size : 300), arrived);
    c->stage = OPEN;
    on_upgraded(c);
    return head;
}

/* The size of the whole frame at ``data``, or 0 while it is not whole. */
static size_t whole(const uint8_t *data, size_t size, size_t *head, size_t *length) {
    if (size < 2) return 0;
    if (data[1] & 0x80) fail("a masked frame from the server");
    *head = 2;
    *length = data[1] & 127;
    if (*length == 126) {
        if (size < 4) return 0;
        *length = data[2] << 8 | data[3];
        *head = 4;
    } else if (*length == 127) {
        if (size < 10) return 0;
        *length = 0;
        for (int i = 0; i < 8; i++) *length = *length << 8 | data[2 + i];
        *head = 10;
    }
    if (*head + *length > READ_MOST) fail("a frame of %zu bytes", *length);
    return size < *head + *length ? 0 : *head + *length;
}

static void take_frame(struct conn *c, const uint8_t *data, size_t head, size_t length) {
    if (!(data[0] & 0x80)) fail("a fragment, which no contestant sends");
    if ((data[0] & 15) != PING) {
        on_message(c, data[0] & 15, data + head, length);
        return;
    }
    uint8_t out[125 + HEADER_MOST];
    pings_answered++;
    net_send(c, out, frame(out, PONG, data + head, length > 125 ? 125 : length));
}

static size_t parse(struct conn *c, size_t size) {
    if (c->role == WEBHOOK) return on_request(c, (const char *)arrived, size);
    size_t used = 0, head, length, next;
    if (c->stage == SHAKING) used = upgraded(c, size);
    while (c->stage == OPEN && (next = whole(arrived + used, size - used, &head, &length))) {
        take_frame(c, arrived + used, head, length);
        used += next;
    }
    return used;
}

static void receive(struct conn *c) {
    size_t before = c->in_len;
    if (before) memcpy(arrived, c->in, before);
    ssize_t size = recv(c->fd, arrived + before, READ_MOST - before, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        lost(c);
        return;
    }
    size_t all = before + size, used = parse(c, all);
    if (c->stage == GONE) return;
    c->in_len = 0;
    if (used < all) {
        keep(&c->in, &c->in_len, arrived + used, all - used);
    } else if (c->in) {
        free(c->in);
        c->in = NULL;
    }
}

static void connected(struct conn *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) fail("cannot connect user %d: %s", c->user, strerror(error));
    c->stage = SHAKING;
    watch(c, EPOLL_CTL_MOD, false);
    on_connected(c);
}

static void accept_webhooks(void) {
    int fd;
    while ((fd = accept4(webhooks, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        new_conn(fd, WEBHOOK, OPEN, -1, -1);
}

static void free_gone(void) {
    while (gone) {
        struct conn *c = gone;
        gone = c->next_gone;
        free(c->in);
        free(c->out);
        free(c->path);
        free(c);
    }
}

void net_turn(double seconds) {
    static struct epoll_event events[EVENTS_MOST];
    if (seconds < 0) seconds = 0;
    struct timespec most = {.tv_sec = (time_t)seconds};
    most.tv_nsec = (long)((seconds - most.tv_sec) * 1e9);
    int ready = epoll_pwait2(loop, events, EVENTS_MOST, &most, NULL);
    for (int i = 0; i < ready; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c) {
            accept_webhooks();
        } else if (c->stage == CONNECTING) {
            connected(c);
        } else if (c->stage != GONE) {
            if (events[i].events & EPOLLOUT && c->out_len) send_kept(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
    }
    free_gone();
}
