// Package official has the table of tests of this repository that cannot pass on Google's
// own emulators, with the reasons. Such a test calls Skip, which fails the test if the
// table has no row for it.
//
// The folder is a Node package too: `npm test` runs all tests on Google's
// emulators and prints what was skipped, with these reasons.
package official

import (
	"os"
	"strings"
	"testing"
)

// The environment variables that name an external server. If one is set, the tests
// assume that the server is Google's emulator.
const (
	Firestore = "FIRESTORE_EMULATOR_HOST"
	PubSub    = "PUBSUB_EMULATOR_HOST"
)

// A Difference is the reason why a test is skipped on one of Google's emulators.
type Difference struct {
	Server  string // Firestore or PubSub
	Test    string // as the testing package names it, with its subtest
	Needs   string // what the test needs
	Does    string // what Google's emulator does instead
	Service string // what the service does: one of the two
	Known   string // source of Service
}

// Differences is the whole table.
var Differences = []Difference{
	{
		Server: Firestore, Test: "TestNamesFilterOrderAndCursors/names_descending",
		Needs:   "documents in the descending order of their names, with no other order",
		Does:    "FAILED_PRECONDITION: Firestore does not support descending key scans",
		Service: "not confirmed; Carillon has no such query",
		Known:   "the reference of order_by has __name__ DESC after another field, and does not mention it alone",
	},
	{
		Server: Firestore, Test: "TestCollectionGroups/descending_by_name",
		Needs:   "the same for a collection group",
		Does:    "FAILED_PRECONDITION: Firestore does not support descending key scans",
		Service: "not confirmed; Carillon has no such query",
		Known:   "as above",
	},
	{
		Server: Firestore, Test: "TestPartitionsCoverTheGroupOnce",
		Needs:   "PartitionQuery",
		Does:    "UNIMPLEMENTED",
		Service: "has PartitionQuery, as ours has",
		Known:   "the reference of the API, and the Go client's GetPartitionedQueries",
	},
	{
		Server: Firestore, Test: "TestQueryLimitsAreRefused/36_disjunctions",
		Needs:   "a query of more than 30 disjunctions is refused",
		Does:    "answers the query",
		Service: "refuses it, as ours does",
		Known:   "the limits of OR queries in Google's documentation: 30 disjunctions in disjunctive normal form",
	},
	{
		Server: Firestore, Test: "TestLimitsAreRefusedWithInvalidArgument/over_500_transforms",
		Needs:   "more than 500 transforms of one document are refused",
		Does:    "stores them",
		Service: "refuses them, as ours does",
		Known:   "the page of quotas and limits in Google's documentation: 500 transforms of a document in one commit",
	},
	{
		Server: Firestore, Test: "TestQueriesReadThePast/three_hours_ago",
		Needs:   "a read at a time of three hours ago is refused with FAILED_PRECONDITION",
		Does:    "reads: NOT_FOUND, the document was not there",
		Service: "refuses it without point-in-time recovery, as ours does",
		Known:   "the reference of read_time: within the past hour, and whole minutes of seven days only with point-in-time recovery",
	},
	{
		Server: Firestore, Test: "TestSumsDoNotDependOnTheOrder",
		Needs:   "sums that do not depend on the order: doubles that cancel out, integers beyond int64",
		Does:    "adds one after the other, and loses the small number",
		Service: "does not promise exact sums of doubles; ours adds exactly",
		Known:   "the reference of Sum: floating-point aggregation may answer slightly different results each time",
	},
	{
		Server: Firestore, Test: "TestServerTimeIsOneInstantOfTheCommitInMilliseconds/close_to_the_commit_time",
		Needs:   "a server timestamp is the commit time in milliseconds",
		Does:    "takes the time of the request: some milliseconds before the commit time",
		Service: "sets the time at which it processed the request; ours takes the commit time",
		Known:   "the reference of REQUEST_TIME; Carillon compares no such times",
	},
	{
		Server: Firestore, Test: "TestAMissingIndexIsNoConflict",
		Needs:   "a query whose composite index is not declared is refused with FAILED_PRECONDITION",
		Does:    "answers the query",
		Service: "refuses it, as ours does",
		Known:   "the page on the Firestore emulator in Google's documentation: it does not track compound indexes",
	},
	{
		Server: Firestore, Test: "TestPagesOfOtherSitesGetInNowhere/Firestore",
		Needs:   "pages of other sites cannot delete the documents",
		Does:    "lets any page in a browser delete and read them",
		Service: "requires credentials; only the emulator has this address",
		Known:   "the page on connecting to the Firestore emulator in Google's documentation",
	},
	{
		Server: PubSub, Test: "TestContractBackOff",
		Needs:   "a subscription's retry policy",
		Does:    "stores the policy and pushes again after about a second",
		Service: "waits from the minimum back-off on, as ours does",
		Known:   "the reference of RetryPolicy",
	},
	{
		Server: PubSub, Test: "TestContractDeadLetter/attempts",
		Needs:   "deliveryAttempt in pushes of a subscription with a dead letter policy",
		Does:    "leaves it out; the dead letter comes after as many attempts, with its attributes",
		Service: "sends it, as ours does",
		Known:   "the page on handling message failures in Google's documentation",
	},
	{
		Server: PubSub, Test: "TestContractOrdering/pushed",
		Needs:   "pushes of one ordering key in order, with the key",
		Does:    "pushes at the same time, without the key; pulls are in order",
		Service: "pushes in order, with the key, as ours does",
		Known:   "the page on ordering messages in Google's documentation",
	},
	{
		Server: PubSub, Test: "TestContractRefusals/a_deadline_of_nine_seconds",
		Needs:   "an acknowledgement deadline below ten seconds is refused",
		Does:    "accepts it",
		Service: "refuses it, as ours does",
		Known:   "the reference of ack_deadline_seconds: 10 to 600",
	},
}

// External reports whether the tests run on an external server of that kind.
func External(server string) bool { return os.Getenv(server) != "" }

// Skip skips a test that would run on one of Google's emulators and cannot pass there. A
// test without a row in the table fails on every server, so that no test is skipped
// without a reason.
func Skip(t testing.TB) {
	t.Helper()
	for _, d := range Differences {
		if d.Test != t.Name() {
			continue
		}
		if External(d.Server) {
			t.Skip(d.String())
		}
		return
	}
	t.Fatalf("%s: emulators/official/differences.go has no row for this test", t.Name())
}

// String returns the reason in one line.
func (d Difference) String() string {
	return strings.Join([]string{"Google's emulator differs: needs " + d.Needs, "it " + d.Does, "the service " + d.Service, "known by " + d.Known}, " | ")
}
