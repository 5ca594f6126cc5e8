/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program in C that asks everything there is to ask, and prints a line for each answer. The test
 * beside it is the daemon.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tallygate/tallygate.h"

static void print_outcome(const char *what, tallygate_handle *handle, int code)
{
    printf("%s: %d %s\n", what, code, tallygate_message(handle));
}

static void print_answer(const char *what, tallygate_handle *handle, int code,
                         const struct tallygate_answer *answer)
{
    if (code != TALLYGATE_OK)
        print_outcome(what, handle, code);
    else
        printf("%s: %" PRId64 " [%" PRId64 ", %" PRId64 "] exact %d, %.1f/s at %.1f\n", what,
               answer->value, answer->lower, answer->upper, answer->exact, answer->rate_per_second,
               answer->as_of);
}

static int print_item(void *context, const char *key, int64_t value)
{
    int *left = context;
    printf("item: %s %" PRId64 "\n", key, value);
    return --*left == 0;
}

static int print_definition(void *context, const char *name, const char *type, const char *monitor,
                            int persist)
{
    (void)context;
    printf("series: %s %s %s %d\n", name, type, monitor, persist);
    return 0;
}

static void ask_series(tallygate_handle *handle)
{
    int64_t value = -1;
    int items_left = 2;
    print_outcome("define", handle,
                  tallygate_series_define(handle, "my series", "cidr", "300,6", 1));
    print_outcome("add", handle, tallygate_series_add(handle, "my series", NULL, "192.0.2.7", -2));
    print_outcome(
        "series count", handle,
        tallygate_series_count(handle, "my series", "300,6", "192.0.2.0/24", 0, 5, &value));
    printf("value: %" PRId64 "\n", value);
    print_outcome("remove", handle,
                  tallygate_series_remove_item(handle, "my series", NULL, "192.0.2.7"));
    print_outcome("items", handle,
                  tallygate_series_items(handle, "users", NULL, 0, 1, print_item, &items_left));
    print_outcome("list", handle, tallygate_series_list(handle, print_definition, NULL));
}

int main(void)
{
    tallygate_handle *handle = tallygate_open(NULL);
    struct tallygate_question question = {0};
    struct tallygate_answer answer = {0};
    struct tallygate_advice advice = {0};
    char block[TALLYGATE_BLOCK_BYTES] = "";
    int code;

    if (handle == NULL)
        return 1;
    tallygate_set_timeout(handle, 10000);
    code = tallygate_live(handle, "192.0.2.0/24", "SMTP", NULL, &answer);
    print_answer("live", handle, code, &answer);
    code = tallygate_live(handle, "192.0.2.0/24", NULL, "192.0.2.25:25", &answer);
    print_answer("listener", handle, code, &answer);
    question.cidr = "[2001:db8::]/32";
    question.monitor = "60,10";
    question.event = "receptions";
    question.end = 9;
    code = tallygate_count(handle, &question, &answer);
    print_answer("count", handle, code, &answer);
    question.monitor = NULL;
    question.smooth = 1;
    question.end = 0;
    question.service = "imap";
    code = tallygate_count(handle, &question, &answer);
    print_answer("smooth", handle, code, &answer);
    code = tallygate_check(handle, "192.0.2.7", "SMTP", &advice);
    printf("check: %d %d %u %u %s %s %" PRId64 " %" PRId64 " %s\n", code, (int)advice.action,
           advice.code, advice.delay_seconds, advice.check, advice.of, advice.count, advice.max,
           advice.text);
    print_outcome("event", handle, tallygate_event(handle, "receptions", "192.0.2.7", "SMTP", 3));
    ask_series(handle);
    code = tallygate_block_of(handle, "192.0.2.7:40312", "/24", block, sizeof(block));
    printf("block: %d %s\n", code, block);
    code = tallygate_address_of(handle, "[2001:db8::7]:40312", block, sizeof(block));
    printf("address: %d %s\n", code, block);
    tallygate_close(handle);
    return 0;
}
