#!/bin/sh
# Makes random passwords and Redis's list of users, unless they are there.
set -eu
cd /secrets
if [ -s users.acl ]; then exit 0; fi
# What a try that was cut off has left.
rm -f coordinator dashboard users.acl.new
umask 0337
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
COORDINATOR="$(secret)"
DASHBOARD="$(secret)"
printf '%s\n' "$COORDINATOR" > coordinator
printf '%s\n' "$DASHBOARD" > dashboard
# Passwords are kept as hashes; what each user may do stands in users.acl beside this script.
sed -e "s/^user coordinator reset off/user coordinator reset on #$(hash "$COORDINATOR")/" \
    -e "s/^user dashboard reset off/user dashboard reset on #$(hash "$DASHBOARD")/" \
    -e '/^#/d' /users.acl > users.acl.new
chown 10001:10001 coordinator dashboard
chown 999:999 users.acl.new
mv users.acl.new users.acl
