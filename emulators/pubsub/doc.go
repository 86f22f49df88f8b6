// Package pubsub is a stand-in for Google Cloud Pub/Sub: a real gRPC server in
// memory that any client library reaches with PUBSUB_EMULATOR_HOST, with pull,
// streaming pull, and pushes to HTTP endpoints as the service makes them: the
// envelope, the status codes that acknowledge, the ack deadline, the retry
// policy's back-off, ordering keys, and dead letters with their attributes.
//
// It does not stand on the Go client's own in-memory server (pstest). That one
// keeps every message until all are cleared, pending ones included, so that
// memory cannot be bounded; it looks at every pending message of every
// subscription each 10 ms and at all of them for each pull, so that a backlog
// slows it down by its square; it drops what was not delivered within ten
// minutes, stores push endpoints and retry policies without using them, and
// streams some hundred messages a second. A pump around it could mend the
// pushes, not these. Here a message is held while somebody is owed it and no
// longer, and nothing is looked at before its time.
//
// Differences from the service:
//   - An OIDC token asked for by a push configuration is unsigned (algorithm
//     none): its claims can be read, not verified.
//   - The back-off of a push subscription without a retry policy, 100 ms
//     doubling to 60 s, is counted a message instead of a subscription.
//   - Pushes start at full breadth, Options.InFlight; the service widens slowly.
//   - Messages never expire, nor do subscriptions; what is acknowledged is gone
//     (no topic retention). Seek only drops what was published before a time.
//   - With ordering one message a key is on its way at a time, to pullers too.
//   - Labels, IAM and regions are kept as they come and do nothing.
//   - Refused as UNIMPLEMENTED, instead of being ignored: filters, exactly-once
//     delivery, unwrapped pushes, BigQuery and Cloud Storage subscriptions,
//     message transforms, ingestion, schemas and snapshots.
package pubsub
