/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libtallygate: asks a tallygate daemon, from C and from whatever can call C. docs/c_api.md has
 * examples. Link with -ltallygate.
 *
 * Every function that asks returns TALLYGATE_OK or another code of enum tallygate_code;
 * tallygate_message() then says why, and names the object. What it writes to is only written on
 * TALLYGATE_OK. No function prints, exits, raises a signal or throws.
 *
 * Threads: a handle is for one thread at a time; different handles do not touch each other. A
 * process that was forked may go on using its parent's handle: it makes its own connection.
 *
 * Texts are NUL-terminated and copied where they are kept. A text that is not needed is NULL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TALLYGATE_API __attribute__((visibility("default")))
#else
#define TALLYGATE_API
#endif

/* The same numbers as the exit codes of the tallygate command. */
enum tallygate_code {
    TALLYGATE_OK = 0,
    TALLYGATE_FAILED = 1,        /* the daemon, or the kernel, could not do it */
    TALLYGATE_WRONG = 2,         /* the question is wrong: a bad CIDR, a window that is not kept */
    TALLYGATE_UNREACHABLE = 3,   /* no daemon, or none that answered in time */
    TALLYGATE_NOT_PERMITTED = 4, /* the socket is not for this user */
    TALLYGATE_UNKNOWN = 5,       /* no such service, monitor, event or series */
    TALLYGATE_REFUSED = 6,       /* not on this socket */
};

/* Whom to ask: a handle. */
typedef struct tallygate_handle tallygate_handle;

/*
 * `socket` is the path of the control socket; NULL or "" is $TALLYGATE_SOCKET, or else
 * /run/tallygate/control.sock. Connects when the first question is asked, keeps the connection,
 * and makes it anew when the daemon was restarted. NULL only when there is no memory.
 */
TALLYGATE_API tallygate_handle *tallygate_open(const char *socket);
TALLYGATE_API void tallygate_close(tallygate_handle *handle);

/* For the whole of a question, from connecting to the last byte of the answer: 500 ms if this is
 * not called. 0 is 1. */
TALLYGATE_API void tallygate_set_timeout(tallygate_handle *handle, unsigned milliseconds);

/* Why the last call with this handle failed, in one sentence; "" if it did not. Until the next. */
TALLYGATE_API const char *tallygate_message(const tallygate_handle *handle);
TALLYGATE_API const char *tallygate_socket(const tallygate_handle *handle);
/* Of the library, such as "0.1.0". */
TALLYGATE_API const char *tallygate_version(void);

/* A number with its bounds: lower <= value <= upper, all equal when exact. docs/control.md says
 * when a number is not exact. */
struct tallygate_answer {
    int64_t value;
    int64_t lower;
    int64_t upper;
    int exact; /* 1 or 0 */
    double
        rate_per_second; /* the value over the span that has elapsed of its windows; 0 for live */
    double as_of;        /* Unix time: what was counted until then is included */
};

/*
 * Connections open now from `cidr` ("192.0.2.0/24", "2001:db8::/32", an address; IPv6 bare or in
 * brackets): to `service`, or to `listener` ("192.0.2.25:25"), or to all if both are NULL. A
 * service is a configured name; "SMTP", as policies of other servers call it, is the service
 * "smtp".
 */
TALLYGATE_API int tallygate_live(tallygate_handle *handle, const char *cidr, const char *service,
                                 const char *listener, struct tallygate_answer *answer);

/* What happened in windows of a monitor. Set all to zero first, then what is asked for. */
struct tallygate_question {
    const char *cidr;
    const char *monitor;    /* "60,10"; NULL takes monitor_index */
    unsigned monitor_index; /* 0 is the first configured monitor */
    const char *event;      /* "connections" if NULL; "syn", "dropped", "receptions", "recipients",
                               "rejections", "auth", "tls" */
    const char *service;    /* as for tallygate_live(); NULL is all of them */
    unsigned start;         /* windows, both included: 0 is now, */
    unsigned end;           /* and the older one */
    int smooth;             /* not 0: the current window and what time has left of the one before,
                               as Sieve's ec_ip_connections; start and end must be 0 then */
};

TALLYGATE_API int tallygate_count(tallygate_handle *handle,
                                  const struct tallygate_question *question,
                                  struct tallygate_answer *answer);

/* What a check of the configuration advises: docs/policy.md. None is for good. */
enum tallygate_action {
    TALLYGATE_PASS = 0,
    TALLYGATE_WARN = 1,       /* log it, and go on */
    TALLYGATE_MARK = 2,       /* add a header, and go on */
    TALLYGATE_DEFER = 3,      /* refuse for now */
    TALLYGATE_DISCONNECT = 4, /* refuse for now, and end the session */
};

#define TALLYGATE_BLOCK_BYTES 64 /* enough for any block or address, with its NUL */
#define TALLYGATE_NAME_BYTES 64  /* for the name of a check */
#define TALLYGATE_TEXT_BYTES 512 /* for its text */

struct tallygate_advice {
    enum tallygate_action action;
    unsigned code;          /* of SMTP: 250, 451 or 421 */
    unsigned delay_seconds; /* 0 to 60: wait so long first, whatever the action is */
    /* Of the check that is exceeded; "" and 0 if none is. */
    char check[TALLYGATE_NAME_BYTES];
    char of[TALLYGATE_BLOCK_BYTES]; /* the block that was counted: "192.0.2.0/24" */
    int64_t count;
    int64_t max;
    char text[TALLYGATE_TEXT_BYTES]; /* for the client: printable ASCII that names all of that */
};

/*
 * What the configured checks ([[check]]) advise about a client at `address` who came to `service`;
 * with NULL only checks that name no service are asked. A check by sender, recipient or user is
 * not: it would count. The control socket answers, and the one for policies.
 */
TALLYGATE_API int tallygate_check(tallygate_handle *handle, const char *address,
                                  const char *service, struct tallygate_advice *advice);

/* Reports what the gate cannot see: `event` is "receptions", "recipients", "rejections", "auth" or
 * "tls", of a client. `service` is the reporter's word for where it happened, or NULL. */
TALLYGATE_API int tallygate_event(tallygate_handle *handle, const char *event, const char *address,
                                  const char *service, uint64_t amount);

/*
 * Named series. A series is a name and a monitor ("300,6"); `monitor` may be NULL where the name
 * has only one. `type` is "cidr" (IPv4), "cidr_ipv6" or "string".
 *
 * tallygate_series_define() of a series that is there already, in the same words, is no mistake.
 * tallygate_series_add() adds to the current window, also less than 0; with a monitor it defines
 * what is not there, by the family of the key. It is the one call, with tallygate_event(), that is
 * not repeated when a connection ends under it: nothing counts twice.
 */
TALLYGATE_API int tallygate_series_define(tallygate_handle *handle, const char *name,
                                          const char *type, const char *monitor, int persist);
TALLYGATE_API int tallygate_series_add(tallygate_handle *handle, const char *name,
                                       const char *monitor, const char *key, int64_t amount);
TALLYGATE_API int tallygate_series_count(tallygate_handle *handle, const char *name,
                                         const char *monitor, const char *key, unsigned start,
                                         unsigned end, int64_t *value);
TALLYGATE_API int tallygate_series_remove_item(tallygate_handle *handle, const char *name,
                                               const char *monitor, const char *key);

/* Called for each item, with a text that lasts for the call. Anything but 0 ends the round; that
 * is no mistake. It must not use the handle, and must not throw. */
typedef int tallygate_item(void *context, const char *key, int64_t value);

/* The items of a string series in windows `start` to `end`. */
TALLYGATE_API int tallygate_series_items(tallygate_handle *handle, const char *name,
                                         const char *monitor, unsigned start, unsigned end,
                                         tallygate_item *each, void *context);

/* Called for each series that is defined. As tallygate_item. */
typedef int tallygate_definition(void *context, const char *name, const char *type,
                                 const char *monitor, int persist);

TALLYGATE_API int tallygate_series_list(tallygate_handle *handle, tallygate_definition *each,
                                        void *context);

/*
 * The block that a policy means by a mask and a client: "/24" and "192.0.2.7" are "192.0.2.0/24".
 * `mask` is "/24" or "24". `client` may have brackets and a port, as in
 * "192.0.2.7:40312" and "[2001:db8::7]:40312".
 *
 * Policies count in IPv4 lengths, and /32 means "this client". For an IPv6 client a length up to 32
 * is therefore taken twice: /32 is its /64, /24 its /48, /0 all of IPv6. Lengths from 33 to 128
 * are what they are. NULL is /32. Asks nobody.
 */
TALLYGATE_API int tallygate_block_of(tallygate_handle *handle, const char *client, const char *mask,
                                     char *block, size_t block_bytes);
/* The client's address alone, without brackets and port: "2001:db8::7". Asks nobody. */
TALLYGATE_API int tallygate_address_of(tallygate_handle *handle, const char *client, char *address,
                                       size_t address_bytes);
/* Whether `cidr` holds the client: 1 or 0 in *is_inside. For lists that a policy keeps. Asks
 * nobody. */
TALLYGATE_API int tallygate_is_inside(tallygate_handle *handle, const char *client,
                                      const char *cidr, int *is_inside);

#ifdef __cplusplus
}
#endif
