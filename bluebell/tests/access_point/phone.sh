#!/bin/sh
# A phone on the device's access point: two network namespaces with a cable between them. Started inside of
# a user namespace, as its root, with the program that serves DHCP and DNS as its argument.
# Prints what the phone learns as key=value lines.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
room=$(mktemp -d)
here=$(dirname "$0")

ip link set lo up
ip link add access0 type veth peer name phone0
unshare --net sleep 120 &
phone=$!
SERVE_ACCESS_POINT=1 "$@" >"$room/server" 2>&1 &
server=$!
trap 'kill "$phone" "$server" 2>/dev/null; rm -rf "$room"' EXIT
while [ "$(readlink "/proc/$phone/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
on_phone() { nsenter --net="/proc/$phone/ns/net" "$@"; }

ip link set phone0 netns "$phone"
ip address add 192.168.4.1/24 dev access0
ip link set access0 up
ip route add default dev access0
on_phone ip link set lo up
on_phone ip link set phone0 up

# What a client runs when it has an address: keep it, and tell.
cat >"$room/lease" <<'SCRIPT'
#!/bin/sh
case "${1:-}${reason:-}" in
  bound | renew) # udhcpc
    ip address replace "$ip/24" dev phone0
    echo "$client.address=$ip" "$client.router=$router" "$client.dns=$dns" "$client.lease=$lease" \
      "$client.portal=${opt114:-}" | tr ' ' '\n' >"$told" ;;
  BOUND | RENEW | REBOOT) # dhclient
    ip address replace "$new_ip_address/24" dev phone0
    echo "$client.address=$new_ip_address" "$client.router=$new_routers" \
      "$client.dns=$new_domain_name_servers" "$client.lease=$new_dhcp_lease_time" \
      "$client.portal=${new_captive_portal:-}" | tr ' ' '\n' >"$told" ;;
esac
exit 0
SCRIPT
chmod +x "$room/lease"

if command -v udhcpc >/dev/null; then
  export client=udhcpc told="$room/udhcpc"
  on_phone udhcpc -i phone0 -n -q -t 10 -T 1 -O 114 -s "$room/lease" >"$room/log" 2>&1 || cat "$room/log" >&2
  cat "$room/udhcpc"
fi
if command -v dhclient >/dev/null; then
  export client=dhclient told="$room/dhclient"
  printf '%s\n' 'option captive-portal code 114 = text;' 'timeout 20;' \
    'request subnet-mask, routers, domain-name-servers, captive-portal;' >"$room/dhclient.conf"
  on_phone dhclient -4 -1 -cf "$room/dhclient.conf" -lf "$room/leases" -pf "$room/pid" -e client="$client" \
    -e told="$told" -sf "$room/lease" phone0 >"$room/log" 2>&1 || cat "$room/log" >&2
  cat "$room/dhclient"
  kill "$(cat "$room/pid")" 2>/dev/null || true
fi
if command -v dig >/dev/null; then
  ask() { on_phone dig @192.168.4.1 +tries=3 +time=2 "$@"; }
  echo "dig.a=$(ask +short connectivitycheck.gstatic.com A)"
  echo "dig.status=$(ask captive.apple.com A | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
  echo "dig.aaaa=$(ask captive.apple.com AAAA | sed -n 's/.*status: \([A-Z]*\),.*/\1/p; s/.*ANSWER: \([0-9]*\),.*/\1/p' | tr '\n' ' ')"
  echo "dig.malformed=$(ask +header-only | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
fi
