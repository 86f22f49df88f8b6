// Package firestore is a Firestore (Native mode, Standard edition) in memory. It
// serves google.firestore.v1.Firestore to server SDKs over gRPC, and a small
// admin interface over HTTP on the same port, and starts in a millisecond.
//
// Everything in this repository is tested against it, so it aims to be neither
// kinder nor stricter than the service. The package engine holds the database;
// this package holds what is on the wire.
//
// # Known differences from the service
//
// Not there:
//   - Pipelines (ExecutePipeline) answer UNIMPLEMENTED: they belong to the
//     Enterprise edition. Query explanations (explain_options) are ignored.
//   - Security rules and App Check: every caller may do everything, as server
//     SDKs may.
//   - TTL policies delete nothing; the service takes up to a day and code has to
//     look at the time anyway.
//   - Composite indexes are not checked for vector searches, which compare every
//     document.
//
// Otherwise than there:
//   - Contention: a commit aborts younger transactions that hold locks it wants
//     and waits up to 5 s for older ones. The service documents that one of them
//     fails with ABORTED, not which.
//   - A transaction without options is pessimistic, as is the default of the
//     Standard edition; the per-database setting does not exist.
//   - Index entries are not cut at 1,500 bytes, so that queries on long values
//     answer exactly where the service may not. There is no limit of 40,000 index
//     entries a document, nor of fields with single-field indexes.
//   - Whether a list of collections and a delete of a missing document are
//     billed is not documented; they count as one read and one delete.
//   - Where several indexes could serve a query, the service may find a
//     combination that Options.RequireIndexes refuses: it merges declared indexes
//     only when they agree on all that follows the fields compared for equality.
//     A query ordered by __name__ descending alone is let through.
//   - Rates, quotas, hot spots and the 500/50/5 rule do not exist.
//   - Reads at a time reach back an hour, as without point-in-time recovery, but
//     less when the old versions of that hour take more than 256 MiB.
//   - An existence filter is never sent to listeners; a resume token older than
//     an hour is answered by a reset.
//   - Texts of errors are like the service's, not always the same; the codes are.
package firestore
