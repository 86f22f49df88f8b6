// Package pubsub is an emulator of Google Cloud Pub/Sub: a real gRPC server in memory,
// with the REST form of the service on the same port.
// Every client library reaches it with PUBSUB_EMULATOR_HOST. It has pull, streaming pull,
// and pushes to HTTP endpoints as the service makes them: the envelope, the status codes
// that acknowledge, the ack deadline, the back-off of the retry policy, ordering keys, and
// dead letters with their attributes.
//
// It is not built on the in-memory server of the Go client (pstest), for these reasons.
// pstest keeps every message until all are cleared, so its memory cannot be limited. It
// checks every pending message of every subscription each 10 ms, and all of them for each
// pull, so its cost grows with the square of a backlog. It drops messages that were not
// delivered within ten minutes. It stores push endpoints and retry policies without using
// them, and streams some hundred messages a second. Here a message is kept only until every
// subscription has settled it, and is not checked before its time.
//
// Differences from the service:
//   - The OIDC token of a push configuration is unsigned (algorithm none): its claims can
//     be read, but not verified.
//   - The back-off of a push subscription without a retry policy, 100 ms doubling to 60 s,
//     is counted for each message instead of the subscription.
//   - The number of concurrent pushes starts at Options.InFlight, or Options.InFlightOf;
//     the service increases it slowly.
//   - Messages and subscriptions never expire. An acknowledged message is deleted (there is
//     no topic retention). Seek only drops messages that were published before a time.
//   - With ordering one message of a key is under way at a time, also with pull.
//   - Labels, IAM and regions are stored and have no effect.
//   - Refused as UNIMPLEMENTED instead of ignored: filters, exactly-once delivery,
//     unwrapped pushes, BigQuery and Cloud Storage subscriptions, message transforms,
//     ingestion, schemas and snapshots.
package pubsub
