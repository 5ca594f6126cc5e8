// SPDX-License-Identifier: BSD-2-Clause
//
// Stands in anvil's place under Postfix's master, and passes each stream on to tallygated's socket,
// byte for byte. Knows neither protocol nor counts, and needs no right but to connect to that
// socket. docs/anvil.md, mode C.
//
// As a native service it is started in the queue directory with the socket that it listens on, a
// pipe to master for its status, and words that say what to give up: -c to go into a chroot there,
// -u to become the owner of `private`.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

enum {
    STATUS_FD = 5,
    LISTEN_FD = 6,
    STREAMS_MAX = 1000,
    BUFFER_BYTES = 4096, // of one direction; anvil's requests and replies are shorter
    OWN_FDS_MAX = 16,    // all that is no stream, and a client that is told to go
};

static const char default_target[] = "tallygate/anvil"; // below the queue directory

/// What master reads from its pipe.
struct status {
    int pid;
    unsigned generation;
    int available;
};

/// Bytes on their way from one end to the other.
struct direction {
    char bytes[BUFFER_BYTES];
    size_t begin;
    size_t end;
    bool ended; // nothing more will come
};

struct stream {
    int ends[2];                // client and target; -1: not in use
    struct direction pushes[2]; // [i] goes to ends[i]
};

static struct stream streams[STREAMS_MAX];
static size_t streams_used; // all beyond were never in use
static size_t streams_max = STREAMS_MAX;
static const char *target = default_target;

static void say(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}

static int set_up_fd(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/// -1 if nobody answers. A Unix socket connects at once, or not at all: where too many wait for a
/// daemon that accepts nobody, waiting with them would stop all streams.
static int connect_target(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, target, sizeof(address.sun_path) - 1);
    if (fd < 0 || (fd = set_up_fd(fd)) < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/// Two descriptors for each stream. Without one for the next client it could not be told to go.
static void fit_into_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < OWN_FDS_MAX + 2 * STREAMS_MAX)
        streams_max = limit.rlim_cur > OWN_FDS_MAX ? (limit.rlim_cur - OWN_FDS_MAX) / 2 : 0;
}

/// A client that cannot be served is closed: Postfix goes on without, after a second.
static void welcome(void)
{
    static bool complained;
    int client = accept(LISTEN_FD, NULL, NULL);
    struct stream *stream = NULL;
    int fd;

    if (client < 0 || (client = set_up_fd(client)) < 0)
        return;
    for (size_t i = 0; i < streams_max && stream == NULL; i++)
        if (streams[i].ends[0] < 0)
            stream = &streams[i];
    fd = stream != NULL ? connect_target() : -1;
    if (fd < 0) {
        if (!complained)
            say(LOG_WARNING, "warning: %s: %s", target,
                stream != NULL ? strerror(errno) : "too many streams");
        complained = true;
        close(client);
        return;
    }
    complained = false;
    memset(stream->pushes, 0, sizeof(stream->pushes));
    stream->ends[0] = client;
    stream->ends[1] = fd;
    if ((size_t)(stream - streams) >= streams_used)
        streams_used = (size_t)(stream - streams) + 1;
}

static void end_stream(struct stream *stream)
{
    close(stream->ends[0]);
    close(stream->ends[1]);
    stream->ends[0] = stream->ends[1] = -1;
}

/// Reads from `from` into an empty direction. Answers whether the stream goes on.
static bool take(struct direction *push, int from)
{
    ssize_t size = recv(from, push->bytes, sizeof(push->bytes), 0);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    push->begin = 0;
    push->end = (size_t)size;
    push->ended = size == 0;
    return true;
}

/// Answers whether the stream goes on.
static bool give(struct direction *push, int to)
{
    ssize_t size = send(to, push->bytes + push->begin, push->end - push->begin, MSG_NOSIGNAL);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    push->begin += (size_t)size;
    return true;
}

/// What an end of a stream is waited for: to send, if there is something for it; to read, if what
/// it says has a place.
static short wanted(const struct stream *stream, int end)
{
    const struct direction *to_it = &stream->pushes[end];
    const struct direction *from_it = &stream->pushes[!end];
    short events = 0;

    if (to_it->begin < to_it->end)
        events |= POLLOUT;
    if (from_it->begin == from_it->end && !from_it->ended)
        events |= POLLIN;
    return events;
}

/// Anvil's clients and servers end a stream as a whole, so that the end of one end is both's.
static void serve(struct stream *stream, int end, short events)
{
    bool goes_on = true;

    if (events & POLLOUT)
        goes_on = give(&stream->pushes[end], stream->ends[end]);
    if (goes_on && (events & (POLLIN | POLLHUP | POLLERR)) && (wanted(stream, end) & POLLIN)) {
        goes_on = take(&stream->pushes[!end], stream->ends[end]);
        // A reply mostly fits, and so costs no other round.
        if (goes_on && stream->pushes[!end].begin < stream->pushes[!end].end)
            goes_on = give(&stream->pushes[!end], stream->ends[!end]);
    }
    if (!goes_on ||
        (stream->pushes[!end].ended && stream->pushes[!end].begin == stream->pushes[!end].end))
        end_stream(stream);
}

static void relay(void)
{
    static struct pollfd polled[2 + 2 * STREAMS_MAX];

    for (;;) {
        polled[0] = (struct pollfd){STATUS_FD, POLLIN, 0};
        polled[1] = (struct pollfd){LISTEN_FD, POLLIN, 0};
        for (size_t i = 0; i < streams_used; i++)
            for (int end = 0; end < 2; end++)
                polled[2 + 2 * i + (size_t)end] =
                    (struct pollfd){streams[i].ends[end],
                                    streams[i].ends[end] < 0 ? 0 : wanted(&streams[i], end), 0};
        if (poll(polled, 2 + 2 * streams_used, -1) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (polled[0].revents != 0) // master is gone
            return;
        for (size_t i = 0; i < streams_used; i++)
            for (int end = 0; end < 2; end++) {
                const struct pollfd *one = &polled[2 + 2 * i + (size_t)end];
                if (one->revents != 0 && streams[i].ends[end] == one->fd && one->fd >= 0)
                    serve(&streams[i], end, one->revents);
            }
        if (polled[1].revents != 0)
            welcome();
    }
}

/// Answers whether nothing is left of what was to be given up.
static bool give_up_rights(bool into_chroot, bool other_user)
{
    struct stat folder;
    const struct passwd *owner;

    if (stat("private", &folder) != 0 || (owner = getpwuid(folder.st_uid)) == NULL)
        return false;
    if (into_chroot && (chroot(".") != 0 || chdir("/") != 0))
        return false;
    if (!other_user || geteuid() != 0)
        return true;
    return owner->pw_uid != 0 && setgroups(1, &owner->pw_gid) == 0 && setgid(owner->pw_gid) == 0 &&
           setuid(owner->pw_uid) == 0;
}

static bool tell_master(void)
{
    const char *generation = getenv("GENERATION");
    const struct status status = {
        .pid = getpid(),
        .generation = generation != NULL ? (unsigned)strtoul(generation, NULL, 8) : 0,
        .available = 1,
    };

    return write(STATUS_FD, &status, sizeof(status)) == (ssize_t)sizeof(status);
}

int main(int count, char **words)
{
    bool into_chroot = false;
    bool other_user = false;
    int word;

    // Of master's words only two matter here; the argument is where tallygated listens.
    while ((word = getopt(count, words, "cdDi:lm:n:o:s:S:t:uvVz")) != -1) {
        into_chroot = into_chroot || word == 'c';
        other_user = other_user || word == 'u';
    }
    if (optind < count)
        target = words[optind];
    openlog("postfix/anvil-relay", LOG_PID | LOG_NDELAY, LOG_MAIL);
    signal(SIGPIPE, SIG_IGN);
    fit_into_descriptors();
    for (size_t i = 0; i < STREAMS_MAX; i++)
        streams[i].ends[0] = streams[i].ends[1] = -1;
    if (set_up_fd(LISTEN_FD) < 0) {
        fputs("anvil-relay: started by Postfix's master, with anvil's line in master.cf\n", stderr);
        return 2;
    }
    if (!give_up_rights(into_chroot, other_user)) {
        say(LOG_ERR, "fatal: give up rights: %s", strerror(errno));
        return 1;
    }
    if (!tell_master()) {
        say(LOG_ERR, "fatal: master does not listen: %s", strerror(errno));
        return 1;
    }
    relay();
    return 0;
}
