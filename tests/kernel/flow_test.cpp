// SPDX-License-Identifier: BSD-2-Clause
//
// Connections from first SYN to close, seen from both hooks. A story is a table of segments;
// each is told in both families, along every path through the gate's programs, and with numbers
// that wrap at every point of it.
#include "kernel/conversation.hpp"
#include "kernel/gate_fixture.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;

struct Story {
    const char *name;
    Segments segments;
    std::uint64_t opened;
    std::uint64_t closed;
};

constexpr std::uint32_t million = 1'000'000;
constexpr std::uint32_t later = 500 * million; ///< where the next incarnation's numbers start
constexpr std::uint32_t before = ~0u;          ///< one less than a SYN's number

// clang-format off
const Segments asked = {
    {client, syn,             0, 0,   0, TG_PASS_SYN},
    {server, syn | ack,       0, 1,   0, TG_PASS_SYN_ACK},
};
const Segments opened = asked + Segments{
    {client, ack,             1, 1,   0, TG_PASS_OPENED},
};
const Segments closed_by_client = {
    {client, fin | ack,       1, 1,   0, TG_PASS_OPEN_FLOW},
    {server, ack,             1, 2,   0, TG_PASS_OPEN_FLOW},
    {server, fin | ack,       1, 2,   0, TG_PASS_OPEN_FLOW},
    {client, ack,             2, 2,   0, TG_PASS_CLOSED_FIN},
};
/* 100 bytes of banner, 50 of command, and everything acknowledged. */
const Segments talked = opened + Segments{
    {server, ack | psh,       1, 1, 100, TG_PASS_OPEN_FLOW},
    {client, ack,             1, 101, 0, TG_PASS_OPEN_FLOW},
    {client, ack | psh,       1, 101, 50, TG_PASS_OPEN_FLOW},
    {server, ack,           101, 51,  0, TG_PASS_OPEN_FLOW},
};

const Story handshakes[] = {
    {"the handshake", opened, 1, 0},
    {"a SYN alone", {{client, syn, 0, 0, 0, TG_PASS_SYN}}, 0, 0},
    {"a SYN and its answer", asked, 0, 0},
    {"an ACK of another number", asked + Segments{
        {client, ack,         1, 2,   0, TG_PASS_BAD_ACK}}, 0, 0},
    {"an ACK of the answer's own number", asked + Segments{
        {client, ack,         1, 0,   0, TG_PASS_BAD_ACK}}, 0, 0},
    {"a wrong ACK, then the right one", asked + Segments{
        {client, ack,         1, 2,   0, TG_PASS_BAD_ACK},
        {client, ack,         1, 1,   0, TG_PASS_OPENED}}, 1, 0},
    {"an ACK without SYN-ACK", {
        {client, syn,         0, 0,   0, TG_PASS_SYN},
        {client, ack,         1, 1,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"a SYN-ACK that nobody asked for", {
        {client, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK_IN},
        {client, ack,         1, 1,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"the ACK repeated", opened + Segments{
        {client, ack,         1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 1,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"ACK and data in one segment", asked + Segments{
        {client, ack | psh,   1, 1,  30, TG_PASS_OPENED}}, 1, 0},
    {"ACK and FIN in one segment", asked + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPENED},
        {server, fin | ack,   1, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"the ACK lost, then the first data", asked + Segments{
        {client, ack | psh,   1, 1,  30, TG_PASS_OPENED},
        {server, ack,         1, 31,  0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"the SYN-ACK three times", asked + Segments{
        {server, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK},
        {server, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK},
        {client, ack,         1, 1,   0, TG_PASS_OPENED}}, 1, 0},
    {"the SYN three times", Segments{
        {client, syn,         0, 0,   0, TG_PASS_SYN},
        {client, syn,         0, 0,   0, TG_PASS_SYN}} + opened, 1, 0},
    {"the server's SYN-ACK again: the ACK was lost behind us", opened + Segments{
        {server, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK},
        {client, ack,         1, 1,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"a RST instead of the ACK", asked + Segments{
        {client, rst,         1, 0,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"the banner before the ACK opens nothing", asked + Segments{
        {server, ack | psh,   1, 1, 100, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"our own connection from the guarded port", {
        {server, syn,         0, 0,   0, TG_PASS_UNKNOWN_FLOW},
        {client, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK_IN},
        {server, ack,         1, 1,   0, TG_PASS_UNKNOWN_FLOW},
        {client, ack | psh,   1, 1, 100, TG_PASS_UNKNOWN_FLOW},
        {server, rst,         1, 0,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"the server refuses", {
        {client, syn,         0, 0,   0, TG_PASS_SYN},
        {server, rst | ack,   0, 1,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
};

const Story fin_closes[] = {
    {"the client closes first", opened + closed_by_client, 1, 1},
    {"the server closes first", opened + Segments{
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 2,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 2,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"in three segments", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"in three segments, the server first", opened + Segments{
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 2,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"both at once, the client acknowledges last", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         2, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"both at once, the server acknowledges last", opened + Segments{
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         2, 2,   0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"after talking", talked + Segments{
        {client, fin | ack,  51, 101, 0, TG_PASS_OPEN_FLOW},
        {server, fin | ack, 101, 52,  0, TG_PASS_OPEN_FLOW},
        {client, ack,        52, 102, 0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"with FINs on data", opened + Segments{
        {client, fin | ack,   1, 1,  20, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 22, 30, TG_PASS_OPEN_FLOW},
        {client, ack,        22, 32,  0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"data acknowledged and the FIN on it not", opened + Segments{
        {client, fin | ack,   1, 1,  20, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 21,  0, TG_PASS_OPEN_FLOW},
        {client, ack,        22, 2,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"the client's FIN alone", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         1, 2,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"the server's FIN alone", opened + Segments{
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 2,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"both FINs, and the last never acknowledged", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 1,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"the client's half is closed, and the server goes on", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         1, 2, 100, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 101, 0, TG_PASS_OPEN_FLOW},
        {server, fin | ack, 101, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         2, 102, 0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"the client's FIN five times", opened + Segments{
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW}} + closed_by_client + Segments{
        {client, fin | ack,   1, 2,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"the server's FIN five times, and once more after the close", opened + closed_by_client +
        Segments{
        {server, fin | ack,   1, 2,   0, TG_PASS_UNKNOWN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_UNKNOWN_FLOW},
        {server, fin | ack,   1, 2,   0, TG_PASS_UNKNOWN_FLOW},
        {client, ack,         2, 2,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"a FIN overtakes its data", opened + Segments{
        {client, fin | ack,  31, 1,   0, TG_PASS_OPEN_FLOW},
        {server, ack,         1, 1,   0, TG_PASS_OPEN_FLOW},
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,        32, 2,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 2,  30, TG_PASS_OPEN_FLOW},
        {server, ack,         2, 32,  0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"a FIN far ahead of the window", opened + Segments{
        {client, fin | ack, 100 * million, 1, 0, TG_PASS_OUT_OF_WINDOW},
        {server, fin | ack,   1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, ack,         1, 2,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"a FIN far behind the window", opened + Segments{
        {client, fin | ack, 0u - million, 1, 0, TG_PASS_OUT_OF_WINDOW}}, 1, 0},
    {"a FIN that acknowledges what was never sent", opened + Segments{
        {client, fin | ack,   1, 2,   0, TG_PASS_OUT_OF_WINDOW}}, 1, 0},
    {"a FIN that acknowledges the distant past", opened + Segments{
        {client, fin | ack,   1, 0u - million, 0, TG_PASS_OUT_OF_WINDOW}}, 1, 0},
};

const Story rst_closes[] = {
    {"where the server stands", talked + Segments{
        {client, rst,        51, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"with an acknowledgement", talked + Segments{
        {client, rst | ack,  51, 101, 0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"twice", talked + Segments{
        {client, rst,        51, 0,   0, TG_PASS_CLOSED_RST},
        {client, rst,        51, 0,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"a million off", talked + Segments{
        {client, rst, 51 + million, 0, 0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"a million behind", talked + Segments{
        {client, rst, 51 - million, 0, 0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"one behind", talked + Segments{
        {client, rst,        50, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"one ahead", talked + Segments{
        {client, rst,        52, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"one behind, after the client's FIN", talked + Segments{
        {client, fin | ack,  51, 101, 0, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 52,  0, TG_PASS_OPEN_FLOW},
        {client, rst,        51, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"two behind, after the client's FIN", talked + Segments{
        {client, fin | ack,  51, 101, 0, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 52,  0, TG_PASS_OPEN_FLOW},
        {client, rst,        50, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"at the start of data in flight", talked + Segments{
        {client, ack,        51, 101, 40, TG_PASS_OPEN_FLOW},
        {client, rst,        51, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"at the end of data in flight", talked + Segments{
        {client, ack,        51, 101, 40, TG_PASS_OPEN_FLOW},
        {client, rst,        91, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"where the server stands, though later data opened the flow", asked + Segments{
        {client, ack | psh,  31, 1,  30, TG_PASS_OPENED},
        {server, ack,         1, 1,   0, TG_PASS_OPEN_FLOW},
        {client, rst,         1, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"past the end of data in flight", talked + Segments{
        {client, ack,        51, 101, 40, TG_PASS_OPEN_FLOW},
        {client, rst,        92, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"from the server", talked + Segments{
        {server, rst,       101, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"from the server, with an acknowledgement", talked + Segments{
        {server, rst | ack, 101, 51,  0, TG_PASS_CLOSED_RST},
        {server, rst | ack, 101, 51,  0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"of a flow that nobody knows", {
        {client, rst,         1, 0,   0, TG_PASS_UNKNOWN_FLOW},
        {server, rst,         1, 0,   0, TG_PASS_UNKNOWN_FLOW}}, 0, 0},
    {"after the close", opened + closed_by_client + Segments{
        {client, rst,         2, 0,   0, TG_PASS_UNKNOWN_FLOW},
        {server, rst,         2, 0,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"while the banner is leaving", opened + Segments{
        {client, rst,         1, 0,   0, TG_PASS_CLOSED_RST},
        {server, ack | psh,   1, 1, 100, TG_PASS_UNKNOWN_FLOW},
        {server, fin | ack, 101, 1,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
    {"and the ACK that opened comes again", opened + Segments{
        {client, rst,         1, 0,   0, TG_PASS_CLOSED_RST},
        {client, ack,         1, 1,   0, TG_PASS_UNKNOWN_FLOW}}, 1, 1},
};

/* The next connection between the same ends. */
const Segments opened_later = {
    {client, syn,             later, 0,             0, TG_PASS_SYN},
    {server, syn | ack,       later, later + 1,     0, TG_PASS_SYN_ACK},
    {client, ack,             later + 1, later + 1, 0, TG_PASS_OPENED},
};

const Story reuses[] = {
    {"after a close by FIN", opened + closed_by_client + opened_later, 2, 1},
    {"after a close by RST", opened + Segments{
        {client, rst,         1, 0,   0, TG_PASS_CLOSED_RST}} + opened_later, 2, 1},
    {"while the old one stands open in the table", talked + Segments{
        {client, syn,         later, 0,             0, TG_PASS_SYN},
        {server, syn | ack,   later, later + 1,     0, TG_PASS_CLOSED_REUSE},
        {client, ack,         later + 1, later + 1, 0, TG_PASS_OPENED},
        {client, rst,         later + 1, 0,         0, TG_PASS_CLOSED_RST}}, 2, 2},
    {"and the new SYN-ACK twice", talked + Segments{
        {client, syn,         later, 0,             0, TG_PASS_SYN},
        {server, syn | ack,   later, later + 1,     0, TG_PASS_CLOSED_REUSE},
        {server, syn | ack,   later, later + 1,     0, TG_PASS_SYN_ACK},
        {client, ack,         later + 1, later + 1, 0, TG_PASS_OPENED}}, 2, 1},
    {"the old one's ACK does not open the new one", opened + closed_by_client + Segments{
        {client, syn,         later, 0,             0, TG_PASS_SYN},
        {server, syn | ack,   later, later + 1,     0, TG_PASS_SYN_ACK},
        {client, ack,         2, 2,                 0, TG_PASS_BAD_ACK}}, 1, 1},
    {"a SYN in an open flow, and the challenge", talked + Segments{
        {client, syn,         later, 0,   0, TG_PASS_SYN},
        {server, ack,         101, 51,    0, TG_PASS_OPEN_FLOW},
        {client, ack,         51, 101,    0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"the client answers the challenge with a RST", talked + Segments{
        {client, syn,         later, 0,   0, TG_PASS_SYN},
        {server, ack,         101, 51,    0, TG_PASS_OPEN_FLOW},
        {client, rst,         51, 0,      0, TG_PASS_CLOSED_RST}} + opened_later, 2, 1},
};

const Story long_lives[] = {
    {"keepalives without a byte", talked + Segments{
        {client, ack,        50, 101, 0, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 51,  0, TG_PASS_OPEN_FLOW},
        {client, ack,        50, 101, 0, TG_PASS_OPEN_FLOW},
        {client, rst,        50, 0,   0, TG_PASS_RST_IGNORED},
        {client, rst,        51, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"keepalives with one byte", talked + Segments{
        {client, ack,        50, 101, 1, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 51,  0, TG_PASS_OPEN_FLOW},
        {client, rst,        52, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"keepalives do not move back what was sent", talked + Segments{
        {client, ack,        51, 101, 40, TG_PASS_OPEN_FLOW},
        {client, ack,        50, 101, 0, TG_PASS_OPEN_FLOW},
        {client, rst,        91, 0,   0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"keepalives of the server", talked + Segments{
        {server, ack,       100, 51,  0, TG_PASS_OPEN_FLOW},
        {client, ack,        51, 101, 0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"an unasked SYN-ACK in an open flow", talked + Segments{
        {client, syn | ack,   0, 1,   0, TG_PASS_SYN_ACK_IN},
        {client, ack,        51, 101, 0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"data forged far away does not let a RST in", talked + Segments{
        {client, ack,      51 + 100 * million, 101, 9, TG_PASS_OUT_OF_WINDOW},
        {client, rst,      51 + 100 * million, 0,   0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"data out of order", talked + Segments{
        {client, ack,        91, 101, 40, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 51,  0, TG_PASS_OPEN_FLOW},
        {client, ack,        51, 101, 40, TG_PASS_OPEN_FLOW},
        {server, ack,       101, 131, 0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"before the SYN's number", opened + Segments{
        {client, ack,    before, 1,   0, TG_PASS_OPEN_FLOW}}, 1, 0},
};

/* GSO on the way out, GRO on the way in: many segments in one packet, and a FIN in the last. */
const Story super_packets[] = {
    {"the server's FIN behind 16 KiB", talked + Segments{
        {server, fin | ack, 101,      51, 16192, TG_PASS_OPEN_FLOW},
        {client, ack,        51,   16293,     0, TG_PASS_OPEN_FLOW},
        {client, fin | ack,  51,   16294,     0, TG_PASS_OPEN_FLOW},
        {server, ack,     16294,      52,     0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"the data acknowledged, and the FIN behind it not", talked + Segments{
        {server, fin | ack, 101,      51, 16192, TG_PASS_OPEN_FLOW},
        {client, fin | ack,  51,   16293,     0, TG_PASS_OPEN_FLOW},
        {server, ack,     16294,      52,     0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"one segment of it acknowledged", talked + Segments{
        {server, fin | ack, 101,      51, 16192, TG_PASS_OPEN_FLOW},
        {client, fin | ack,  51,    1549,     0, TG_PASS_OPEN_FLOW},
        {server, ack,     16294,      52,     0, TG_PASS_OPEN_FLOW}}, 1, 0},
    {"64 KiB of the server, acknowledged in full", talked + Segments{
        {server, ack,       101,      51, 65495, TG_PASS_OPEN_FLOW},
        {client, ack,        51,   65596,     0, TG_PASS_OPEN_FLOW},
        {client, ack,        51,   65597,     0, TG_PASS_OUT_OF_WINDOW}}, 1, 0},
    {"the server's FIN behind more than 64 KiB", talked + Segments{
        {server, fin | ack, 101,      51, 150000, TG_PASS_OPEN_FLOW},
        {client, fin | ack,  51,  150102,     0, TG_PASS_OPEN_FLOW},
        {server, ack,    150102,      52,     0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"a RST at the end of 60,000 bytes of the client", talked + Segments{
        {client, ack | psh,  51,     101, 60000, TG_PASS_OPEN_FLOW},
        {client, rst,     60051,       0,     0, TG_PASS_CLOSED_RST}}, 1, 1},
    {"a RST past the end of them", talked + Segments{
        {client, ack | psh,  51,     101, 60000, TG_PASS_OPEN_FLOW},
        {client, rst,     60052,       0,     0, TG_PASS_RST_IGNORED}}, 1, 0},
    {"the client's FIN behind 60,000 bytes", talked + Segments{
        {client, fin | ack,  51,     101, 60000, TG_PASS_OPEN_FLOW},
        {server, fin | ack, 101,   60051,     0, TG_PASS_OPEN_FLOW},
        {client, ack,     60052,     102,     0, TG_PASS_OPEN_FLOW},
        {server, ack,       102,   60052,     0, TG_PASS_CLOSED_FIN}}, 1, 1},
    {"more than 64 KiB of the client", talked + Segments{
        {client, fin | ack,  51,     101, 150000, TG_PASS_OPEN_FLOW},
        {server, fin | ack, 101,  150052,     0, TG_PASS_OPEN_FLOW},
        {client, ack,    150052,     102,     0, TG_PASS_CLOSED_FIN}}, 1, 1},
};

const struct {
    const char *name;
    std::uint32_t client_start;
    std::uint32_t server_start;
} starts[] = {
    {"ordinary numbers",                 1000,        5000},
    {"both wrap after the SYN",          0xffffffff,  0xffffffff},
    {"both wrap on the way",             0xffffffe0,  0xffffffa0},
    {"the client wraps in the last FIN", 0xffffffcc,  5000},
    {"the sign changes",                 0x7fffffe0,  0x7fffffa0},
    {"the next incarnation wraps",       0u - later,  0u - later},
};
// clang-format on

class Flows : public Gate {
protected:
    void tell_only(const Segments &segments, const Conversation &conversation, const Path &path)
    {
        for (std::size_t i = 0; i < segments.size(); i++) {
            const auto &segment = segments[i];
            SCOPED_TRACE(testing::Message() << "segment " << i + 1);
            const auto program = segment.from == client ? path.ingress : path.egress;
            const auto verdict = send(conversation.packet(segment), program);
            EXPECT_STREQ(verdict_name(verdict), verdict_name(segment.verdict));
            EXPECT_GE(live(), 0);
            EXPECT_EQ(flows(), static_cast<std::size_t>(live()));
        }
    }

    void tell(const Story &story, const Conversation &conversation, const Path &path)
    {
        const auto totals_before = totals();
        const auto source = conversation.ipv6 ? "2001:db8:0:10::" : conversation.client_address;
        const auto slot_before = slot_tally(source).value_or(tg_tally{});
        tell_only(story.segments, conversation, path);

        const auto sum = totals();
        const auto slot = slot_tally(source).value_or(tg_tally{});
        EXPECT_EQ(sum.opened - totals_before.opened, story.opened);
        EXPECT_EQ(sum.closed - totals_before.closed, story.closed);
        EXPECT_EQ(slot.opened - slot_before.opened, story.opened);
        EXPECT_EQ(slot.closed - slot_before.closed, story.closed);
        EXPECT_EQ(flows(), story.opened - story.closed);

        if (story.opened != story.closed)
            send(conversation.packet({server, rst, 0, 0, 0, TG_PASS_CLOSED_RST}), path.egress);
        EXPECT_EQ(flows(), 0u) << "what our own server resets is closed";
    }

    static tg_flow_key key_of(const Conversation &conversation)
    {
        return {.client = to_addr(conversation.client_address),
                .server = to_addr(conversation.server_address),
                .client_port = htons(static_cast<std::uint16_t>(conversation.client_port)),
                .server_port = htons(static_cast<std::uint16_t>(conversation.server_port))};
    }

    template <std::size_t count>
    void tell_all(const Story (&stories)[count])
    {
        for (const auto &story : stories)
            for (const auto &start : starts)
                for (const auto &path : paths)
                    for (const bool ipv6 : {false, true}) {
                        SCOPED_TRACE(testing::Message()
                                     << story.name << ", " << (ipv6 ? "IPv6" : "IPv4") << ", "
                                     << program_name(path.ingress) << " and "
                                     << program_name(path.egress) << ", " << start.name);
                        auto conversation = ipv6 ? ipv6_conversation() : Conversation{};
                        conversation.client_port = next_port_++;
                        conversation.client_start = start.client_start;
                        conversation.server_start = start.server_start;
                        tell(story, conversation, path);
                    }
    }

private:
    unsigned next_port_ = 20000;
};

TEST_F(Flows, OpenWhenTheHandshakeIsProven)
{
    tell_all(handshakes);
}
TEST_F(Flows, CloseWhenBothFinsAreAcknowledged)
{
    tell_all(fin_closes);
}
TEST_F(Flows, CloseOnAResetThatTheKernelWouldTake)
{
    tell_all(rst_closes);
}
TEST_F(Flows, GiveWayToTheNextConnectionOfTheirEnds)
{
    tell_all(reuses);
}
TEST_F(Flows, StayOpenThroughWhatHappensInALongLife)
{
    tell_all(long_lives);
}

TEST_F(Flows, MoveOnByAllThatASuperPacketCarries)
{
    tell_all(super_packets);
}

// clang-format off
/* From our server to another's, with the gate's sides: who sends in is the other server. */
const Segments outbound = {
    {server, syn,             0, 0,   0, TG_PASS_NOT_WATCHED},
    {client, syn | ack,       0, 1,   0, TG_PASS_NOT_WATCHED},
    {server, ack,             1, 1,   0, TG_PASS_NOT_WATCHED},
    {client, ack | psh,       1, 1, 100, TG_PASS_NOT_WATCHED},
    {server, ack | psh,       1, 101, 9, TG_PASS_NOT_WATCHED},
    {client, fin | ack,     101, 10,  0, TG_PASS_NOT_WATCHED},
    {server, fin | ack,      10, 102, 0, TG_PASS_NOT_WATCHED},
    {client, ack,           102, 11,  0, TG_PASS_NOT_WATCHED},
};
// clang-format on

TEST_F(Flows, AreNotOfConnectionsThatOurOwnServerMakes)
{
    for (const auto &path : paths)
        for (const bool ipv6 : {false, true}) {
            auto conversation = ipv6 ? ipv6_conversation() : Conversation{};
            conversation.client_port = 25;
            conversation.server_port = 45678;
            tell({"outbound", outbound, 0, 0}, conversation, path);
        }
    EXPECT_EQ(totals().syn, 0u);
    EXPECT_EQ(claims(), 0u);
    EXPECT_EQ(pending_in_use(), 0u);
}

class LargeFrames : public Flows {
protected:
    [[nodiscard]] GateOptions options() const override { return {.fragments = true}; }
};

TEST_F(LargeFrames, AreReadByTheirHeadersAndCountedByTheirLength)
{
    for (const bool ipv6 : {false, true}) {
        const auto conversation = ipv6 ? ipv6_conversation() : Conversation{};
        const std::uint32_t payload = 9000 - (ipv6 ? 60 : 40);
        tell_only(talked, conversation, {Program::xdp, Program::xdp_inside});
        const Segment from_client{client, ack, 51, 101, payload, TG_PASS_OPEN_FLOW};
        EXPECT_STREQ(verdict_name(send(conversation.build(from_client))), "pass_open_flow");
        const Segment from_server{server, fin | ack, 101, 51, payload, TG_PASS_OPEN_FLOW};
        EXPECT_STREQ(verdict_name(send(conversation.build(from_server), Program::xdp_inside)),
                     "pass_open_flow");

        const auto flow = get<tg_flow>(maps().flows, key_of(conversation));
        ASSERT_TRUE(flow);
        EXPECT_EQ(flow->client_end - conversation.client_start, 51 + payload);
        EXPECT_EQ(flow->server_end - conversation.server_start, 101 + payload + 1);
    }
}

TEST_F(LargeFrames, AreFollowedLikeOthers)
{
    tell_all(fin_closes);
    tell_all(super_packets);
}

TEST_F(Flows, TakeThePayloadsLengthFromIpAndNotFromTheFrame)
{
    const Conversation conversation;
    tell_only(opened, conversation, paths[0]);
    const auto padded = conversation.packet({client, ack, 1, 1, 0, TG_PASS_OPEN_FLOW}).pad_to(60);
    EXPECT_STREQ(verdict_name(send(padded)), "pass_open_flow");
    const auto reset = conversation.packet({client, rst, 2, 0, 0, TG_PASS_RST_IGNORED});
    EXPECT_STREQ(verdict_name(send(reset)), "pass_rst_ignored");
}

TEST_F(Flows, RememberWhenTheyOpened)
{
    const Conversation conversation;
    set_clock(77s);
    tell_only(opened, conversation, paths[0]);
    const auto flow = get<tg_flow>(maps().flows, key_of(conversation));
    ASSERT_TRUE(flow);
    EXPECT_EQ(flow->opened_ns, 77'000'000'000u);
    EXPECT_EQ(flow->service, smtp);
    EXPECT_EQ(flow->client_end, 1001u);
    EXPECT_EQ(flow->server_start, 5001u);
}

TEST_F(Flows, ClosingIsNeverDropped)
{
    set_mode(TG_MODE_ENFORCE, true, 2h);
    tell({"strict", opened + closed_by_client, 1, 1}, Conversation{}, paths[0]);
}

} // namespace
} // namespace tallygate::test
