/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Lua module "tallygate": libtallygate, for Lua 5.1 to 5.4 and LuaJIT. It knows no policy:
 * msys/ beside this file is Momentum's way to ask. docs/lua.md is its contract.
 *
 * What fails answers nil, a sentence, and one word for what kind of failure it is. Wrong types of
 * arguments are errors, as in Lua's own libraries.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tallygate/tallygate.h"

#define HANDLE_TYPE "tallygate.handle"
#define ROWS_TYPE "tallygate.rows"

#if LUA_VERSION_NUM < 502
#define set_functions(state, functions) luaL_register(state, NULL, functions)
#else
#define set_functions(state, functions) luaL_setfuncs(state, functions, 0)
#endif

int luaopen_tallygate(lua_State *state);

/* An error without a place: msys/ gives it that of the policy's line. */
static void fail(lua_State *state, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    lua_pushvfstring(state, format, values);
    va_end(values);
    lua_error(state);
}

/* The handle of `self`, open. */
static tallygate_handle *check_handle(lua_State *state)
{
    tallygate_handle **self = luaL_checkudata(state, 1, HANDLE_TYPE);

    if (*self == NULL)
        fail(state, "this handle was closed");
    return *self;
}

/* The text at `index`, or NULL for nil: the library takes no text with a zero byte. */
static const char *optional_text(lua_State *state, int index, const char *what)
{
    size_t length = 0;
    const char *text = NULL;

    if (lua_isnoneornil(state, index))
        return NULL;
    text = lua_tolstring(state, index, &length);
    if (text == NULL)
        fail(state, "%s: expected a string, not a %s", what, luaL_typename(state, index));
    else if (strlen(text) != length)
        fail(state, "%s: a string must not hold a zero byte", what);
    return text;
}

static const char *check_text(lua_State *state, int index, const char *what)
{
    const char *text = optional_text(state, index, what);

    if (text == NULL)
        fail(state, "%s is missing", what);
    return text;
}

/* A whole number: Lua 5.1 would cut others off without a word. */
static int64_t optional_integer(lua_State *state, int index, const char *what, int64_t otherwise)
{
    const double limit = 9007199254740992.0; /* 2^53: every whole number up to it is a double */
    lua_Number number = 0;

    if (lua_isnoneornil(state, index))
        return otherwise;
    if (!lua_isnumber(state, index))
        fail(state, "%s: expected a number, not a %s", what, luaL_typename(state, index));
    number = lua_tonumber(state, index);
    if (!(number >= -limit && number <= limit) || (lua_Number)(int64_t)number != number)
        fail(state, "%s: expected a whole number, not %f", what, number);
    return (int64_t)number;
}

static unsigned optional_window(lua_State *state, int index, const char *what, unsigned otherwise)
{
    const int64_t window = optional_integer(state, index, what, otherwise);

    if (window < 0 || window > 0x7fffffff)
        fail(state, "%s: expected a window, 0 or more, not %f", what, (lua_Number)window);
    return (unsigned)window;
}

/* The field of the table at 2, left on the stack so that its text lasts. */
static const char *text_field(lua_State *state, const char *name)
{
    lua_getfield(state, 2, name);
    return optional_text(state, -1, name);
}

static const char *code_word(int code)
{
    switch (code) {
    case TALLYGATE_WRONG:
        return "wrong";
    case TALLYGATE_UNREACHABLE:
        return "unreachable";
    case TALLYGATE_NOT_PERMITTED:
        return "not permitted";
    case TALLYGATE_UNKNOWN:
        return "unknown";
    case TALLYGATE_REFUSED:
        return "refused";
    default:
        return "failed";
    }
}

static int push_failure(lua_State *state, const tallygate_handle *handle, int code)
{
    lua_pushnil(state);
    lua_pushstring(state, tallygate_message(handle));
    lua_pushstring(state, code_word(code));
    return 3;
}

static int push_true(lua_State *state, const tallygate_handle *handle, int code)
{
    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushboolean(state, 1);
    return 1;
}

static void set_integer(lua_State *state, const char *name, int64_t value)
{
    lua_pushinteger(state, (lua_Integer)value);
    lua_setfield(state, -2, name);
}

/* The value, and a table with all that is known of it. */
static int push_answer(lua_State *state, const tallygate_handle *handle, int code,
                       const struct tallygate_answer *answer)
{
    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushinteger(state, (lua_Integer)answer->value);
    lua_createtable(state, 0, 6);
    set_integer(state, "value", answer->value);
    set_integer(state, "lower", answer->lower);
    set_integer(state, "upper", answer->upper);
    lua_pushboolean(state, answer->exact);
    lua_setfield(state, -2, "exact");
    lua_pushnumber(state, answer->rate_per_second);
    lua_setfield(state, -2, "rate_per_second");
    lua_pushnumber(state, answer->as_of);
    lua_setfield(state, -2, "as_of");
    return 2;
}

/* tallygate.open([socket]) */
static int open_handle(lua_State *state)
{
    const char *socket = optional_text(state, 1, "socket");
    tallygate_handle **self = lua_newuserdata(state, sizeof(*self));

    *self = NULL;
    luaL_getmetatable(state, HANDLE_TYPE);
    lua_setmetatable(state, -2);
    *self = tallygate_open(socket);
    if (*self == NULL)
        return luaL_error(state, "out of memory");
    return 1;
}

static int close_handle(lua_State *state)
{
    tallygate_handle **self = luaL_checkudata(state, 1, HANDLE_TYPE);

    tallygate_close(*self);
    *self = NULL;
    return 0;
}

/* handle:set_timeout(milliseconds) */
static int set_timeout(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const int64_t milliseconds = optional_integer(state, 2, "timeout", 0);

    if (milliseconds < 1 || milliseconds > 600000)
        fail(state, "timeout: expected 1 to 600000 milliseconds");
    tallygate_set_timeout(handle, (unsigned)milliseconds);
    return 0;
}

/* handle:socket() */
static int socket_path(lua_State *state)
{
    lua_pushstring(state, tallygate_socket(check_handle(state)));
    return 1;
}

/* handle:live{cidr=, service=, listener=} */
static int live(lua_State *state)
{
    struct tallygate_answer answer;
    tallygate_handle *handle = check_handle(state);
    const char *cidr = NULL, *service = NULL, *listener = NULL;

    luaL_checktype(state, 2, LUA_TTABLE);
    cidr = text_field(state, "cidr");
    service = text_field(state, "service");
    listener = text_field(state, "listener");
    return push_answer(state, handle, tallygate_live(handle, cidr, service, listener, &answer),
                       &answer);
}

/* handle:count{cidr=, monitor= (a string, or 0 for the first), event=, service=, start=, ["end"]=,
 * smooth=}: the end is the start if it is not given. */
static int count(lua_State *state)
{
    struct tallygate_answer answer;
    struct tallygate_question question;
    tallygate_handle *handle = check_handle(state);

    memset(&question, 0, sizeof(question));
    luaL_checktype(state, 2, LUA_TTABLE);
    question.cidr = text_field(state, "cidr");
    question.event = text_field(state, "event");
    question.service = text_field(state, "service");
    lua_getfield(state, 2, "monitor");
    if (lua_type(state, -1) == LUA_TNUMBER)
        question.monitor_index = optional_window(state, -1, "monitor", 0);
    else
        question.monitor = check_text(state, -1, "monitor");
    lua_getfield(state, 2, "start");
    question.start = optional_window(state, -1, "start", 0);
    lua_getfield(state, 2, "end");
    question.end = optional_window(state, -1, "end", question.start);
    lua_getfield(state, 2, "smooth");
    question.smooth = lua_toboolean(state, -1);
    return push_answer(state, handle, tallygate_count(handle, &question, &answer), &answer);
}

static void set_text(lua_State *state, const char *name, const char *value)
{
    lua_pushstring(state, value);
    lua_setfield(state, -2, name);
}

/* handle:check(address, service): the action, and a table with all that is known of it */
static int check(lua_State *state)
{
    static const char *const actions[] = {"pass", "warn", "mark", "defer", "disconnect"};
    struct tallygate_advice advice;
    tallygate_handle *handle = check_handle(state);
    const char *address = check_text(state, 2, "address");
    const char *service = optional_text(state, 3, "service");
    const int code = tallygate_check(handle, address, service, &advice);

    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushstring(state, actions[advice.action]);
    lua_createtable(state, 0, 7);
    set_integer(state, "code", advice.code);
    set_integer(state, "delay", advice.delay_seconds);
    set_text(state, "check", advice.check);
    set_text(state, "of", advice.of);
    set_integer(state, "count", advice.count);
    set_integer(state, "max", advice.max);
    set_text(state, "text", advice.text);
    return 2;
}

/* handle:event{name=, address=, service=, amount=} */
static int event(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = NULL, *address = NULL, *service = NULL;
    int64_t amount = 1;

    luaL_checktype(state, 2, LUA_TTABLE);
    name = text_field(state, "name");
    address = text_field(state, "address");
    service = text_field(state, "service");
    lua_getfield(state, 2, "amount");
    amount = optional_integer(state, -1, "amount", 1);
    if (amount < 0)
        fail(state, "amount: expected 0 or more events");
    return push_true(state, handle,
                     tallygate_event(handle, name, address, service, (uint64_t)amount));
}

/* handle:series_define(name, type, monitor, persist) */
static int series_define(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = check_text(state, 2, "name");
    const char *type = check_text(state, 3, "type");
    const char *monitor = check_text(state, 4, "monitor");

    return push_true(state, handle,
                     tallygate_series_define(handle, name, type, monitor, lua_toboolean(state, 5)));
}

/* handle:series_add(name, monitor or nil, key, amount) */
static int series_add(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = check_text(state, 2, "name");
    const char *monitor = optional_text(state, 3, "monitor");
    const char *key = check_text(state, 4, "key");
    const int64_t amount = optional_integer(state, 5, "amount", 1);

    return push_true(state, handle, tallygate_series_add(handle, name, monitor, key, amount));
}

/* handle:series_count(name, monitor or nil, key, start, end) */
static int series_count(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = check_text(state, 2, "name");
    const char *monitor = optional_text(state, 3, "monitor");
    const char *key = check_text(state, 4, "key");
    const unsigned start = optional_window(state, 5, "start", 0);
    const unsigned end = optional_window(state, 6, "end", start);
    int64_t value = 0;
    const int code = tallygate_series_count(handle, name, monitor, key, start, end, &value);

    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushinteger(state, (lua_Integer)value);
    return 1;
}

/* handle:series_remove_item(name, monitor or nil, key) */
static int series_remove_item(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = check_text(state, 2, "name");
    const char *monitor = optional_text(state, 3, "monitor");
    const char *key = check_text(state, 4, "key");

    return push_true(state, handle, tallygate_series_remove_item(handle, name, monitor, key));
}

/*
 * What the library tells row by row. Lua may throw wherever it takes memory, and must not do so
 * through the library: rows are kept here, and become tables when the library has returned.
 */
struct row {
    char *texts[3];
    int64_t value;
};

struct rows {
    struct row *all;
    size_t count, room;
    int is_out_of_memory;
};

static struct rows *new_rows(lua_State *state)
{
    struct rows *rows = lua_newuserdata(state, sizeof(*rows));

    memset(rows, 0, sizeof(*rows));
    luaL_getmetatable(state, ROWS_TYPE);
    lua_setmetatable(state, -2);
    return rows;
}

static int free_rows(lua_State *state)
{
    struct rows *rows = luaL_checkudata(state, 1, ROWS_TYPE);
    size_t i = 0, k = 0;

    for (i = 0; i < rows->count; i++) {
        for (k = 0; k < 3; k++)
            free(rows->all[i].texts[k]);
    }
    free(rows->all);
    memset(rows, 0, sizeof(*rows));
    return 0;
}

static char *copied(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);

    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

/* 0, as the library wants it, or 1 if there is no memory for more. */
static int keep_row(struct rows *rows, const char *const texts[], size_t text_count, int64_t value)
{
    struct row *row = NULL;
    size_t k = 0;

    if (rows->count == rows->room) {
        const size_t room = rows->room != 0 ? 2 * rows->room : 64;
        struct row *more = realloc(rows->all, room * sizeof(*more));

        rows->is_out_of_memory = more == NULL;
        if (more == NULL)
            return 1;
        rows->all = more;
        rows->room = room;
    }
    row = &rows->all[rows->count++];
    memset(row, 0, sizeof(*row));
    row->value = value;
    for (k = 0; k < text_count; k++) {
        row->texts[k] = copied(texts[k]);
        if (row->texts[k] == NULL)
            rows->is_out_of_memory = 1;
    }
    return rows->is_out_of_memory;
}

static int keep_item(void *context, const char *key, int64_t value)
{
    return keep_row(context, &key, 1, value);
}

static int keep_definition(void *context, const char *name, const char *type, const char *monitor,
                           int persist)
{
    const char *const texts[] = {name, type, monitor};

    return keep_row(context, texts, 3, persist);
}

/* handle:series_items(name, monitor or nil, start, end): a table from key to value */
static int series_items(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *name = check_text(state, 2, "name");
    const char *monitor = optional_text(state, 3, "monitor");
    const unsigned start = optional_window(state, 4, "start", 0);
    const unsigned end = optional_window(state, 5, "end", start);
    struct rows *rows = new_rows(state);
    const int code = tallygate_series_items(handle, name, monitor, start, end, keep_item, rows);
    size_t i = 0;

    if (rows->is_out_of_memory)
        return luaL_error(state, "out of memory");
    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_createtable(state, 0, 0);
    for (i = 0; i < rows->count; i++)
        set_integer(state, rows->all[i].texts[0], rows->all[i].value);
    return 1;
}

/* handle:series_list(): an array of tables with name, type, monitor, persist */
static int series_list(lua_State *state)
{
    static const char *const names[] = {"name", "type", "monitor"};
    tallygate_handle *handle = check_handle(state);
    struct rows *rows = new_rows(state);
    const int code = tallygate_series_list(handle, keep_definition, rows);
    size_t i = 0, k = 0;

    if (rows->is_out_of_memory)
        return luaL_error(state, "out of memory");
    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_createtable(state, 0, 0);
    for (i = 0; i < rows->count; i++) {
        lua_createtable(state, 0, 4);
        for (k = 0; k < 3; k++) {
            lua_pushstring(state, rows->all[i].texts[k]);
            lua_setfield(state, -2, names[k]);
        }
        lua_pushboolean(state, rows->all[i].value != 0);
        lua_setfield(state, -2, "persist");
        lua_rawseti(state, -2, (int)i + 1);
    }
    return 1;
}

/* handle:block_of(client, mask): the block that a policy means */
static int block_of(lua_State *state)
{
    char block[TALLYGATE_BLOCK_BYTES] = "";
    tallygate_handle *handle = check_handle(state);
    const char *client = check_text(state, 2, "client");
    const char *mask = optional_text(state, 3, "mask");
    const int code = tallygate_block_of(handle, client, mask, block, sizeof(block));

    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushstring(state, block);
    return 1;
}

/* handle:address_of(client): without brackets and port */
static int address_of(lua_State *state)
{
    char address[TALLYGATE_BLOCK_BYTES] = "";
    tallygate_handle *handle = check_handle(state);
    const char *client = check_text(state, 2, "client");
    const int code = tallygate_address_of(handle, client, address, sizeof(address));

    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushstring(state, address);
    return 1;
}

/* handle:is_inside(client, cidr) */
static int is_inside(lua_State *state)
{
    tallygate_handle *handle = check_handle(state);
    const char *client = check_text(state, 2, "client");
    const char *cidr = check_text(state, 3, "cidr");
    int answer = 0;
    const int code = tallygate_is_inside(handle, client, cidr, &answer);

    if (code != TALLYGATE_OK)
        return push_failure(state, handle, code);
    lua_pushboolean(state, answer);
    return 1;
}

static const luaL_Reg methods[] = {{"close", close_handle},
                                   {"set_timeout", set_timeout},
                                   {"socket", socket_path},
                                   {"live", live},
                                   {"count", count},
                                   {"check", check},
                                   {"event", event},
                                   {"series_define", series_define},
                                   {"series_add", series_add},
                                   {"series_count", series_count},
                                   {"series_remove_item", series_remove_item},
                                   {"series_items", series_items},
                                   {"series_list", series_list},
                                   {"block_of", block_of},
                                   {"address_of", address_of},
                                   {"is_inside", is_inside},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"open", open_handle}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_tallygate(lua_State *state)
{
    luaL_newmetatable(state, ROWS_TYPE);
    lua_pushcfunction(state, free_rows);
    lua_setfield(state, -2, "__gc");
    luaL_newmetatable(state, HANDLE_TYPE);
    lua_pushcfunction(state, close_handle);
    lua_setfield(state, -2, "__gc");
    lua_pushcfunction(state, close_handle);
    lua_setfield(state, -2, "__close");
    lua_createtable(state, 0, 0);
    set_functions(state, methods);
    lua_setfield(state, -2, "__index");
    lua_createtable(state, 0, 0);
    set_functions(state, functions);
    lua_pushstring(state, tallygate_version());
    lua_setfield(state, -2, "version");
    return 1;
}
