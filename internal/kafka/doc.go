// Package kafka is archflow's side of the Kafka protocol: it reads partitions as
// a read_committed consumer, writes idempotent and transactional batches, and
// takes part in consumer groups. Messages arrive as schemas.Messages and leave as
// record batches; every position is an offset to read next. It knows schemas and
// nothing else of ours.
//
// The library underneath is segmentio/kafka-go: connections, routing to leaders
// and coordinators, the group protocol and the encodings of most requests are its
// own. Fetch, OffsetFetch and record batches are ours, for the reasons below.
//
// # Files
//
//	address.go      the form of a broker's address
//	connect.go      Connection: addresses and secrets
//	dial.go         connections to a broker that answers
//	sasl.go         authentication, and again before a session ends
//	connecterror.go why a broker cannot be reached
//	exchange.go     requests that the library does not have
//	group.go        Membership: one call of hold for each generation of a group
//	topics.go       the names of the topics; creating them, counting partitions
//	rights.go       a user's rights on topics, groups and transactions
//	fetch.go        PartitionReader: Fetch, positions, ends of a partition
//	recordstream.go record batches into columns, without aborted records
//	recordbatch.go  RecordBatch: records into a batch, compressed, with a checksum
//	budget.go       Budget: the bytes of unpacked messages under way
//	producer.go     Producer: an identity, and batches that are kept once
//	transaction.go  a producer's transactions, with the offsets of a group
//	offsets.go      reading and committing the offsets of a group
//	output.go       Output: partitions and limits of a topic to write to
//	writer.go       Writer: at-least-once publishing by key
//	writeall.go     Producer.WriteAll: messages of one topic, all or none
//	backoff.go      Backoff: the one exponential back-off with jitter
//	retriable.go    Retriable, Recoverable, ErrFenced; the check of per-partition codes
//	wire.go         the reader of wire bytes
//	embedded        the broker inside the process, on a data folder
//	kafkatest       brokers for tests: a fake and Apache Kafka
//
// # Errors
//
// Retriable says that the same request may succeed a moment later; requests are
// repeated here, for 15 s, with a back-off. Recoverable says that a session may
// succeed when it begins again from the last commit: a rebalance, a producer that
// was fenced or forgotten. Everything else is for a person and names place, cause
// and cure. An answer without an error as a whole may still refuse partitions:
// partitionErrors looks at every code.
//
// # Not obvious
//
//   - EndTxn is answered before the markers are written. The first request of the
//     next transaction is refused meanwhile; going on regardless would write
//     outside of a transaction, and the next one would commit the records that were
//     to be aborted.
//   - A broker lists a new topic in its metadata before it has opened the log.
//     EnsureTopics waits for the log too: a transaction that ends in between stops
//     the markers of all transactions of the coordinator, for up to a minute.
//   - OffsetFetch is version 7, because that one waits for transactions that are
//     about to commit offsets (KIP-447). Without it the next holder of a partition
//     could read the offsets of a moment ago, and answer twice.
//   - Fetch is version 11 with the batches left as bytes. They are unpacked once,
//     into columns, and only as far as the limits allow.
//   - A fetch asks for no limit of the whole answer, only of the partition: the
//     embedded broker leaves out its list of aborted transactions from an answer
//     that ends because of the former.
//   - A producer starts, which ends the transaction that its predecessor left, before
//     the group's offsets are read.
//   - The embedded broker forgets producers when it starts, so a transactional id
//     has to be new for each of its starts; on Apache Kafka it has to be the same.
//   - Leaving a group waits for members that were killed; leaveLimit cuts the
//     connections instead.
//   - The library is given one address for all brokers: dial replaces it with a
//     broker that has answered a request, because the port of a broker that hangs
//     accepts connections. So brokers are rotated at one place, for requests and for
//     groups, and those known from metadata are used beside those that are named.
//   - Encryption and authentication are done in dial too: the library would keep
//     the certificate and the password of its start.
//   - A request that timed out closes the idle connections of the client: where one
//     is half-open, others are.
package kafka
