"""Publishes with the original's client: publish.py PORT QOS COUNT."""
import sys

import umqttsimple

client = umqttsimple.MQTTClient("original", "127.0.0.1", int(sys.argv[1]), keepalive=60)
if client.connect() == "Error":
    sys.exit(1)
qos, payload = int(sys.argv[2]), b"x" * 32
for _ in range(int(sys.argv[3])):
    client.publish(b"bench/data", payload, qos=qos)
client.disconnect()
