/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Momentum's counting functions for Sieve, as programs for Pigeonhole's extprograms: one program,
 * which is called by their names (links to it), or is told the name as its first argument.
 * docs/sieve.md is its contract.
 *
 * It prints the one string and nothing else. A daemon that cannot be asked is "0" and an exit
 * code of 0: Pigeonhole takes no output from a program that failed, and a variable that was never
 * set counts as infinite in i;ascii-numeric, so that mail would be refused. --strict is for
 * scripts that would rather know.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tallygate/tallygate.h"

/* What a program was asked; texts are arguments of the process. */
struct words {
    char **all;
    int count;
};

struct program {
    const char *name;
    const char *usage;
    /* Answers a code of the library; *value is what to print. */
    int (*ask)(tallygate_handle *, struct words, int64_t *value);
    int prints;
};

/* Why a question never got to the daemon; "" if the library has the reason. */
static char mistake[512];

static int refuse(const char *what, const char *word)
{
    snprintf(mistake, sizeof(mistake), "%s%s%s%s", what, word ? ": '" : "", word ? word : "",
             word ? "'" : "");
    return TALLYGATE_WRONG;
}

static int is_number(const char *word)
{
    return *word != '\0' && strspn(word, "0123456789") == strlen(word);
}

/* "/24" or "24". What is none must be the client, also if it is "" or "unknown". */
static int is_mask(const char *word)
{
    return is_number(*word == '/' ? word + 1 : word);
}

static int is_amount(const char *word)
{
    return is_number(*word == '-' || *word == '+' ? word + 1 : word);
}

/* A header that is not there makes an empty variable. */
static int check_client(const char *client)
{
    if (client == NULL || *client == '\0')
        return refuse("the client's address is missing: the script has to pass it", NULL);
    return TALLYGATE_OK;
}

/* "198.51.100.25:25" or "[2001:db8::25]:25", which no block is. */
static int is_listener(const char *word)
{
    const char *colon = strrchr(word, ':');

    if (colon == NULL || colon == word || strchr(word, '/') != NULL)
        return 0;
    return colon[-1] == ']' || strchr(word, ':') == colon;
}

static int read_integer(const char *word, int64_t *value)
{
    char *end = NULL;

    errno = 0;
    *value = strtoll(word, &end, 10);
    if (errno != 0 || end == word || *end != '\0')
        return refuse("expected a whole number", word);
    return TALLYGATE_OK;
}

static int read_unsigned(const char *word, const char *expected, unsigned *number)
{
    int64_t value = 0;

    if (read_integer(word, &value) != TALLYGATE_OK || value < 0 || value > INT32_MAX)
        return refuse(expected, word);
    *number = (unsigned)value;
    return TALLYGATE_OK;
}

static int read_window(const char *word, unsigned *window)
{
    return read_unsigned(word, "expected a window, 0 or more", window);
}

static int copy_text(const char *text, char *block)
{
    if (strlen(text) >= TALLYGATE_BLOCK_BYTES)
        return refuse("that is no CIDR block", text);
    memcpy(block, text, strlen(text) + 1);
    return TALLYGATE_OK;
}

/* "ADDRESS/MASK" is what it says; a mask that stands alone is the policy's (tallygate_block_of). */
static int block_of_client(tallygate_handle *handle, const char *client, const char *mask,
                           char *block)
{
    if (strchr(client, '/') != NULL)
        return mask == NULL ? copy_text(client, block) : refuse("two masks for", client);
    return tallygate_block_of(handle, client, mask, block, TALLYGATE_BLOCK_BYTES);
}

/* ADDRESS/MASK, or MASK and ADDRESS in any order; a bare ADDRESS is that of `default_mask`. */
static int read_block(tallygate_handle *handle, struct words words, const char *default_mask,
                      char *block)
{
    const char *client = NULL, *mask = NULL;
    int i = 0;

    for (i = 0; i < words.count; i++) {
        const char **place = is_mask(words.all[i]) ? &mask : &client;
        if (*place != NULL)
            return refuse("one argument too many", words.all[i]);
        *place = words.all[i];
    }
    if (check_client(client) != TALLYGATE_OK)
        return TALLYGATE_WRONG;
    if (mask == NULL && strchr(client, '/') == NULL && default_mask == NULL)
        return copy_text(client, block);
    return block_of_client(
        handle, client, mask == NULL && strchr(client, '/') == NULL ? default_mask : mask, block);
}

static int ask_live(tallygate_handle *handle, struct words words, const char *service,
                    const char *listener, int64_t *value)
{
    char block[TALLYGATE_BLOCK_BYTES] = "";
    struct tallygate_answer answer;
    int code = read_block(handle, words, NULL, block);

    if (code == TALLYGATE_OK)
        code = tallygate_live(handle, block, service, listener, &answer);
    if (code == TALLYGATE_OK)
        *value = answer.value;
    return code;
}

static int audit_connections_on_service(tallygate_handle *handle, struct words words,
                                        int64_t *value)
{
    return ask_live(handle, words, "SMTP", NULL, value);
}

/* The listener is the one word that looks like one, wherever it stands. */
static int audit_connections_on_listener(tallygate_handle *handle, struct words words,
                                         int64_t *value)
{
    const char *listener = NULL;
    int i = 0, kept = 0;

    for (i = 0; i < words.count; i++) {
        if (listener == NULL && is_listener(words.all[i]))
            listener = words.all[i];
        else
            words.all[kept++] = words.all[i];
    }
    words.count = kept;
    if (listener == NULL)
        return refuse(
            "the listener is missing, such as 198.51.100.25:25: the script has to pass it", NULL);
    return ask_live(handle, words, NULL, listener, value);
}

static int audit_service(tallygate_handle *handle, struct words words, int64_t *value)
{
    static const char *const of_clusters[] = {"inbound_cidr", "ECCluster", "ECmmove2"};
    const struct words rest = {words.all + 1, words.count - 1};
    size_t i = 0;

    if (words.count < 1)
        return refuse("the service is missing", NULL);
    for (i = 0; i < sizeof(of_clusters) / sizeof(of_clusters[0]); i++) {
        if (strcmp(words.all[0], of_clusters[i]) == 0)
            return refuse("no cluster configured, which the service needs", words.all[0]);
    }
    return ask_live(handle, rest, words.all[0], NULL, value);
}

/* Momentum's other form of arguments: names and values in a hash. */
struct hash {
    const char *series, *monitor, *period_start, *period_end, *mask, *ip, *count, *replicate;
    const char *serialize; /* taken, and does nothing */
};

static int read_hash(struct words words, struct hash *hash)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {{"series", &hash->series},
                 {"monitor", &hash->monitor},
                 {"period_start", &hash->period_start},
                 {"period_end", &hash->period_end},
                 {"mask", &hash->mask},
                 {"ip", &hash->ip},
                 {"count", &hash->count},
                 {"replicate", &hash->replicate},
                 {"serialize", &hash->serialize}};
    int i = 0;

    for (i = 0; i < words.count; i++) {
        const char *equals = strchr(words.all[i], '=');
        const size_t length = equals != NULL ? (size_t)(equals - words.all[i]) : 0;
        size_t k = 0;
        while (
            k < sizeof(known) / sizeof(known[0]) &&
            (strlen(known[k].name) != length || strncmp(known[k].name, words.all[i], length) != 0))
            k++;
        if (k == sizeof(known) / sizeof(known[0]))
            return refuse("expected series=, monitor=, period_start=, period_end=, mask=, ip=, "
                          "count=, replicate= or serialize=",
                          words.all[i]);
        *known[k].value = equals + 1;
    }
    if (hash->replicate != NULL && strcmp(hash->replicate, "0") != 0)
        return refuse("no cluster configured, which replicate= needs", hash->replicate);
    return TALLYGATE_OK;
}

static int is_hash(struct words words)
{
    return words.count > 0 && strchr(words.all[0], '=') != NULL;
}

/* Of the current window only, or of one window, or of both and all between them. */
static int read_windows(const char *start_word, const char *end_word, unsigned *start,
                        unsigned *end)
{
    int code = start_word != NULL ? read_window(start_word, start) : TALLYGATE_OK;

    *end = *start;
    if (code == TALLYGATE_OK && end_word != NULL)
        code = read_window(end_word, end);
    return code;
}

/* SERIES MONITOR ADDRESS[/MASK] [START [END]], or SERIES MONITOR MASK [START [END]] ADDRESS. */
static int read_series_words(struct words words, struct hash *hash)
{
    char **numbers = words.all + 3;
    int number_count = words.count - 3;

    if (words.count < 3)
        return refuse("expected a series, a monitor and a client", NULL);
    hash->series = words.all[0];
    hash->monitor = words.all[1];
    if (!is_mask(words.all[2])) {
        hash->ip = words.all[2];
    } else if (!is_number(words.all[words.count - 1])) {
        hash->ip = words.all[words.count - 1];
        hash->mask = words.all[2];
        number_count--;
    }
    if (check_client(hash->ip) != TALLYGATE_OK)
        return TALLYGATE_WRONG;
    if (number_count > 2)
        return refuse("one argument too many", numbers[2]);
    hash->period_start = number_count > 0 ? numbers[0] : NULL;
    hash->period_end = number_count > 1 ? numbers[1] : NULL;
    return TALLYGATE_OK;
}

static int audit_series(tallygate_handle *handle, struct words words, int64_t *value)
{
    char block[TALLYGATE_BLOCK_BYTES] = "";
    struct hash hash = {0};
    unsigned start = 0, end = 0;
    int code = is_hash(words) ? read_hash(words, &hash) : read_series_words(words, &hash);

    if (code == TALLYGATE_OK)
        code = check_client(hash.ip);
    if (code == TALLYGATE_OK)
        code = read_windows(hash.period_start, hash.period_end, &start, &end);
    if (code == TALLYGATE_OK)
        code = block_of_client(handle, hash.ip, hash.mask, block);
    if (code != TALLYGATE_OK)
        return code;
    return tallygate_series_count(handle, hash.series, hash.monitor, block, start, end, value);
}

/* SERIES MONITOR, and ADDRESS and AMOUNT in any order. */
static int read_add_words(struct words words, struct hash *hash)
{
    int i = 0;

    if (words.count < 3)
        return refuse("expected a series, a monitor and a client", NULL);
    hash->series = words.all[0];
    hash->monitor = words.all[1];
    for (i = 2; i < words.count; i++) {
        const char **place = is_amount(words.all[i]) ? &hash->count : &hash->ip;
        if (*place != NULL)
            return refuse("expected a whole number, and one client", words.all[i]);
        *place = words.all[i];
    }
    return TALLYGATE_OK;
}

static int audit_series_add(tallygate_handle *handle, struct words words, int64_t *value)
{
    char address[TALLYGATE_BLOCK_BYTES] = "";
    struct hash hash = {0};
    int code = is_hash(words) ? read_hash(words, &hash) : read_add_words(words, &hash);

    *value = 1;
    if (code == TALLYGATE_OK && hash.count != NULL)
        code = read_integer(hash.count, value);
    if (code == TALLYGATE_OK)
        code = check_client(hash.ip);
    if (code == TALLYGATE_OK)
        code = tallygate_address_of(handle, hash.ip, address, sizeof(address));
    if (code != TALLYGATE_OK)
        return code;
    return tallygate_series_add(handle, hash.series, hash.monitor, address, *value);
}

/* INDEX [MASK] ADDRESS is smoothed; the form with names is a plain sum. */
static int ask_ip(tallygate_handle *handle, struct words words, const char *event, int64_t *value)
{
    char block[TALLYGATE_BLOCK_BYTES] = "";
    const struct words rest = {words.all + 1, words.count - 1};
    struct tallygate_question question = {0};
    struct tallygate_answer answer;
    struct hash hash = {0};
    int code = TALLYGATE_OK;

    if (is_hash(words)) {
        code = read_hash(words, &hash);
        if (code == TALLYGATE_OK)
            code = check_client(hash.ip);
        if (code == TALLYGATE_OK)
            code = read_windows(hash.period_start, hash.period_end, &question.start, &question.end);
        if (code == TALLYGATE_OK)
            code = block_of_client(handle, hash.ip, hash.mask, block);
    } else {
        code = words.count < 1
                   ? refuse("the monitor's number is missing", NULL)
                   : read_unsigned(words.all[0], "expected a monitor's place, 0 for the first",
                                   &question.monitor_index);
        if (code == TALLYGATE_OK)
            code = read_block(handle, rest, "32", block);
        question.smooth = 1;
    }
    question.cidr = block;
    question.monitor = hash.monitor;
    question.event = event;
    if (code == TALLYGATE_OK)
        code = tallygate_count(handle, &question, &answer);
    if (code == TALLYGATE_OK)
        *value = answer.value;
    return code;
}

static int ec_ip_connections(tallygate_handle *handle, struct words words, int64_t *value)
{
    return ask_ip(handle, words, "connections", value);
}

static int ec_ip_receptions(tallygate_handle *handle, struct words words, int64_t *value)
{
    return ask_ip(handle, words, "receptions", value);
}

static int ec_ip_rejections(tallygate_handle *handle, struct words words, int64_t *value)
{
    return ask_ip(handle, words, "rejections", value);
}

static const struct program programs[] = {
    {"audit_connections_on_service", "ADDRESS/MASK | /MASK ADDRESS", audit_connections_on_service,
     1},
    {"audit_connections_on_listener", "LISTENER ADDRESS/MASK | LISTENER /MASK ADDRESS",
     audit_connections_on_listener, 1},
    {"audit_service", "SERVICE ADDRESS/MASK | SERVICE /MASK ADDRESS", audit_service, 1},
    {"audit_series",
     "SERIES MONITOR ADDRESS[/MASK] [START [END]] | SERIES MONITOR MASK [START [END]] ADDRESS",
     audit_series, 1},
    {"audit_series_add", "SERIES MONITOR ADDRESS [AMOUNT]", audit_series_add, 0},
    {"ec_ip_connections", "INDEX [MASK] ADDRESS | ip=ADDRESS [monitor=] [period_start=] ...",
     ec_ip_connections, 1},
    {"ec_ip_receptions", "INDEX [MASK] ADDRESS | ip=ADDRESS [monitor=] [period_start=] ...",
     ec_ip_receptions, 1},
    {"ec_ip_rejections", "INDEX [MASK] ADDRESS | ip=ADDRESS [monitor=] [period_start=] ...",
     ec_ip_rejections, 1},
};

static const struct program *find_program(const char *name)
{
    const char *slash = strrchr(name, '/');
    size_t i = 0;

    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (strcmp(programs[i].name, slash != NULL ? slash + 1 : name) == 0)
            return &programs[i];
    }
    return NULL;
}

static int print_usage(FILE *file)
{
    size_t i = 0;

    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        fprintf(file, "usage: %s [--strict] %s\n", programs[i].name, programs[i].usage);
    return TALLYGATE_WRONG;
}

static int is_a_mistake(int code)
{
    return code == TALLYGATE_WRONG || code == TALLYGATE_UNKNOWN || code == TALLYGATE_REFUSED;
}

/* Without an end of line, which would become part of the script's variable. */
static int print_value(int64_t value)
{
    printf(isatty(STDOUT_FILENO) ? "%" PRId64 "\n" : "%" PRId64, value);
    return fflush(stdout) == 0 ? TALLYGATE_OK : TALLYGATE_FAILED;
}

static int run(const struct program *program, struct words words, int is_strict)
{
    tallygate_handle *handle = tallygate_open(NULL);
    int64_t value = 0;
    int code = TALLYGATE_FAILED;

    if (handle == NULL)
        return TALLYGATE_FAILED;
    code = program->ask(handle, words, &value);
    if (code != TALLYGATE_OK) {
        fprintf(stderr, "%s: %s\n", program->name,
                mistake[0] != '\0' ? mistake : tallygate_message(handle));
        if (code == TALLYGATE_WRONG && mistake[0] != '\0')
            fprintf(stderr, "usage: %s [--strict] %s\n", program->name, program->usage);
        value = 0;
        if (!is_strict && !is_a_mistake(code))
            code = TALLYGATE_OK;
    }
    tallygate_close(handle);
    if (code == TALLYGATE_OK && program->prints)
        return print_value(value);
    return code;
}

int main(int argc, char **argv)
{
    struct words words = {argv + 1, argc - 1};
    const struct program *program = argc > 0 ? find_program(argv[0]) : NULL;
    int is_strict = 0;

    if (program == NULL && words.count > 0) {
        program = find_program(words.all[0]);
        words.all++;
        words.count--;
    }
    if (program == NULL)
        return print_usage(stderr);
    if (words.count > 0 && strcmp(words.all[0], "--strict") == 0) {
        is_strict = 1;
        words.all++;
        words.count--;
    }
    return run(program, words, is_strict);
}
