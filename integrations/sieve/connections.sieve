# SPDX-License-Identifier: BSD-2-Clause
#
# Mail of clients that hold too many connections goes into a folder of its own. In the manner of
# Momentum's example for audit_connections_on_service; docs/sieve.md says how it gets to run, and
# why the address is taken from the first header of that name and no other.

require ["variables", "relational", "comparator-i;ascii-numeric", "index", "fileinto",
         "vnd.dovecot.execute"];

# Our own mail server puts this header on top. A second one is the sender's invention.
if header :index 1 :matches "X-Client-Address" "*" {
    set "client" "${1}";
}

# Before they are asked for: what is empty counts as infinite.
set "connections" "0";
set "c_connections" "0";
execute :output "connections" "audit_connections_on_service" ["/32", "${client}"];
execute :output "c_connections" "audit_connections_on_service" ["/24", "${client}"];

if string :value "gt" :comparator "i;ascii-numeric" "${connections}" "10" {
    fileinto "Too many connections";
    stop;
}

if string :value "gt" :comparator "i;ascii-numeric" "${c_connections}" "100" {
    fileinto "Too many connections of neighbours";
    stop;
}
