"""Compares what an independent reader finds in the topics with what another finds
in the tables: every candidate answered exactly once or a dead letter exactly once,
every label recorded exactly once or a dead letter, and payloads the same to the bit.

The topics are read with librdkafka in read_committed, the tables with delta-rs.

usage: oracle.py BROKER TOPIC_PREFIX TABLES ACKED

ACKED is a JSON file: [[topic, partition, offset, number], ...] of what the broker
has acknowledged; the number is in the header "n" of the message.

Prints {"counts": {...}, "missing": n, "twice": n, "different": n, "differences": their
sum, "first": [text, ...]}.
"""

import json
import os
import struct
import sys

import deltalake
from confluent_kafka import Consumer, KafkaError, TopicPartition

broker, prefix, tables, acked_file = sys.argv[1:5]
differences = []
kinds = {"missing": 0, "twice": 0, "different": 0}


def differ(what, *args, kind="different"):
    differences.append(what.format(*args))
    kinds[kind] += 1


def read(short):
    """All messages of a topic that a committed reader sees, by (partition, offset)."""
    topic = prefix + short
    consumer = Consumer({
        "bootstrap.servers": broker, "group.id": "oracle", "isolation.level": "read_committed",
        "auto.offset.reset": "error", "enable.partition.eof": True, "enable.auto.commit": False,
        "fetch.max.bytes": 1 << 30, "max.partition.fetch.bytes": 1 << 29, "receive.message.max.bytes": (1 << 30) + 1024,
        "fetch.wait.max.ms": 50,
    })
    known = consumer.list_topics(topic, timeout=20).topics[topic]
    if known.error is not None or not known.partitions:
        raise SystemExit(f"{topic}: {known.error}")
    consumer.assign([TopicPartition(topic, p, 0) for p in known.partitions])
    out, left = {}, set(known.partitions)
    while left:
        m = consumer.poll(30)
        if m is None:
            raise SystemExit(f"{topic}: no answer for 30 s; partitions {sorted(left)} have not ended")
        if m.error():
            if m.error().code() == KafkaError._PARTITION_EOF:
                left.discard(m.partition())
                continue
            raise SystemExit(f"{topic}: {m.error()}")
        at = (m.partition(), m.offset())
        if at in out:
            differ("{} {} was delivered twice", topic, at, kind="twice")
        out[at] = m
    consumer.close()
    return out


def rows(name):
    folder = os.path.join(tables, name)
    if not os.path.isdir(folder):
        return [], 0
    table = deltalake.DeltaTable(folder)
    return table.to_pyarrow_table().to_pylist(), table.version()


def unique(what, pairs):
    out = {}
    for key, value in pairs:
        if key in out:
            differ("{} holds {} twice", what, key, kind="twice")
        out[key] = value
    return out


def bits(x):
    return None if x is None else struct.pack("<d", x)


def bits32(x):
    return struct.pack("<f", x)


def same_sets(what_a, a, what_b, b):
    for key in sorted(set(a) - set(b)):
        differ("{} has {} and {} has not", what_a, key, what_b, kind="missing")
    for key in sorted(set(b) - set(a)):
        differ("{} has {} and {} has not", what_b, key, what_a, kind="missing")


def header(message, name):
    for key, value in message.headers() or []:
        if key == name:
            return value
    return None


def scores(tasks):
    fields = ("score", "value", "low", "high", "percentile", "top")
    return {task: tuple(bits(v.get(f)) for f in fields) for task, v in tasks if v is not None and v["score"] is not None}


def same_fields(where, pairs):
    for name, topic, table in pairs:
        if topic != table:
            differ("{}: {} is {!r} in the topic and {!r} in the table", where, name, topic, table)


candidates = {(prefix + "architectures", *at): m for at, m in read("architectures").items()}
labels = {(prefix + "labels", *at): m for at, m in read("labels").items()}
for topic, partition, offset, number in json.load(open(acked_file)):
    m = (candidates if topic.endswith("architectures") else labels).get((topic, partition, offset))
    if m is None or header(m, "n") != str(number).encode():
        differ("message {} was acknowledged at {}/{}/{} and is not there", number, topic, partition, offset, kind="missing")


def source(p):
    return (p["source"]["topic"], p["source"]["partition"], p["source"]["offset"])


answers = unique("the predictions topic", ((source(p), (m, p)) for m in read("predictions").values() for p in [json.loads(m.value())]))
letters = unique("the dead-letters topic", (
    ((header(m, "archflow-topic").decode(), int(header(m, "archflow-partition")), int(header(m, "archflow-offset"))), m)
    for m in read("dead-letters").values()))

table_rows, commits = rows("predictions")
table = unique("the predictions table", (((r["topic"], r["partition"], r["offset"]), r) for r in table_rows))
letter_rows, letter_commits = rows("dead_letters")
letter_table = unique("the dead_letters table", (((r["topic"], r["partition"], r["offset"]), r) for r in letter_rows))
label_rows, label_commits = rows("labels")
label_table = unique("the labels table", (((r["topic"], r["partition"], r["offset"]), r) for r in label_rows))

# Sets.
same_sets("the candidates", candidates, "answers and dead letters",
          set(answers) | {at for at in letters if at[0].endswith("architectures")})
for at in sorted(set(answers) & set(letters)):
    differ("{} is answered and a dead letter", at, kind="twice")
same_sets("the labels", labels, "labels table and dead letters",
          set(label_table) | {at for at in letters if at[0].endswith("labels")})
for at in sorted(set(label_table) & set(letters)):
    differ("{} is in the labels table and a dead letter", at, kind="twice")
same_sets("the predictions topic", answers, "the predictions table", table)
same_sets("the dead-letters topic", letters, "the dead_letters table", letter_table)

# Answers, field by field.
of_model, models = {}, {}
for at, (m, p) in answers.items():
    models[p["model"]] = models.get(p["model"], 0) + 1
    candidate = candidates.get(at)
    if candidate is not None:
        asked = json.loads(candidate.value())
        if m.key() != candidate.key() or p["id"] != asked.get("id") or p["space"] != asked["space"] or p.get("proxies", {}) != asked.get("proxies", {}):
            differ("{}: the answer is to another candidate", at)
        if (m.headers() or [])[:len(candidate.headers() or [])] != (candidate.headers() or []):
            differ("{}: headers {} came back as {}", at, candidate.headers(), m.headers())
    answer = (p["architecture"], p["network"], tuple(map(bits32, p.get("surrogate") or ())), scores(p["tasks"].items()))
    if p["model"] is not None and p["id"] is not None:
        if of_model.setdefault((p["id"], p["model"]), answer) != answer:
            differ("{}: model {} has answered candidate {} in another way before", at, p["model"], p["id"])
    row = table.get(at)
    if row is None:
        continue
    text = p["id"] if isinstance(p["id"], str) or p["id"] is None else json.dumps(p["id"])
    pairs = [
        ("id", text, row["candidate_id"]), ("architecture", p["architecture"], row["architecture"]), ("network", p["network"], row["network"]),
        ("space", p["space"], row["space"]), ("model", p["model"], row["model"]),
        ("tasks", answer[3], scores(row["predictions"] or [])),
        ("proxies", {k: bits(v) for k, v in p.get("proxies", {}).items()}, {k: bits(v) for k, v in row["proxies"] or []}),
    ]
    if "surrogate" in p:
        pairs.append(("surrogate", answer[2], tuple(map(bits32, row["surrogate"] or ()))))
    if candidate is not None:
        pairs.append(("time", candidate.timestamp()[1], round(row["candidate_time"].timestamp() * 1000)))
    same_fields(at, pairs)

# Dead letters: whole, in both places.
for at, m in letters.items():
    original = candidates.get(at) or labels.get(at)
    if original is not None:
        cut = int(header(m, "archflow-cut") or 0)  # bytes that did not fit
        value = original.value()[:-cut] if cut else original.value()
        if (m.key(), m.value()) != (original.key(), value):
            differ("{}: the dead letter is not the message", at)
        if (m.headers() or [])[:len(original.headers() or [])] != (original.headers() or []):
            differ("{}: the dead letter's headers are not the message's", at)
    row = letter_table.get(at)
    if row is not None:
        same_fields(at, [("key", m.key(), row["key"]), ("value", m.value(), row["value"]),
                         ("error", header(m, "archflow-error").decode(), row["error"]),
                         ("class", header(m, "archflow-error-class").decode(), row["error_class"])])

# Labels.
scored = 0
for at, row in label_table.items():
    scored += row["score"] is not None
    if at in labels:
        label = json.loads(labels[at].value())
        same_fields(at, [("task", label["task"], row["task"]), ("value", bits(label["value"]), bits(row["value"])),
                         ("space", label["space"], row["space"])])

json.dump({
    "counts": {
        "candidates": len(candidates), "answers": len(answers), "dead_letters": len(letters), "labels": len(label_table),
        "models": len([m for m in models if m]), "scored_labels": scored,
        "table_commits": commits + letter_commits + label_commits,
    },
    **kinds, "differences": len(differences), "first": differences[:20],
}, sys.stdout)
# The readers' threads may still run, and ending the interpreter under them aborts
# it; all that matters is written.
sys.stdout.flush()
os._exit(0)
