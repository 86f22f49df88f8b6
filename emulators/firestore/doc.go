// Package firestore is a Firestore (Native mode, Standard edition) in memory. It
// serves google.firestore.v1.Firestore to server SDKs over gRPC. On the same port
// it serves, over HTTP, the REST form, WebChannel for the SDKs in pages of this
// machine, and a small admin interface. It starts in a millisecond.
//
// Everything in this repository is tested against it, so it aims to be exactly
// as strict as the service. The package engine holds the database; this package
// holds the wire protocol.
//
// # Known differences from the service
//
// Missing:
//   - Pipelines (ExecutePipeline) return UNIMPLEMENTED: they belong to the
//     Enterprise edition. Queries with explain_options do, too.
//   - Security rules and App Check: every caller has full access, as server SDKs
//     have.
//   - TTL policies delete nothing. The service takes up to a day, so code has to
//     compare the time anyway.
//   - Composite indexes are not checked for vector searches, which compare every
//     document.
//
// Different:
//   - Contention: a commit aborts younger transactions that hold the locks it
//     needs, and waits up to 5 s for older ones. The service documents that one
//     of them fails with ABORTED, but not which one. A read of a transaction
//     waits behind an older commit that waits to change the same data. A read of
//     a transaction that began before that commit does not wait.
//   - The concurrency mode of a database is set with Options.Optimistic, not with
//     the Admin API. OPTIMISTIC_WITH_ENTITY_GROUPS does not exist.
//   - Index entries are not truncated at 1,500 bytes, so queries on long values
//     are exact where those of the service may not be. There is no limit of
//     40,000 index entries per document, and no limit of fields with single-field
//     indexes.
//   - It is not documented whether a list of collections and a delete of a
//     missing document are billed. Here they count as one read and one delete.
//   - When several indexes could serve a query, the service may find a
//     combination that Options.RequireIndexes refuses: this package merges
//     declared indexes only when they agree on everything after the fields that
//     are compared for equality. A query that is ordered only by __name__
//     descending is accepted.
//   - Rates, quotas, hot spots and the 500/50/5 rule do not exist.
//   - Reads at a time reach back one hour, as without point-in-time recovery. They
//     reach back less when the old versions of that hour take more than 256 MiB.
//   - Listeners never receive an existence filter. A resume token older than an
//     hour causes a reset.
//   - Error texts are similar to those of the service; the codes are the same.
package firestore
