package probe

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// With our emulators on both sides there is no difference.
func TestOurEmulatorsAreAsTheyAre(t *testing.T) {
	t.Parallel()
	service, db := serveFCM(t, nil), serveFirestore(t, firestore.Options{})
	file := filepath.Join(t.TempDir(), "probe.json")
	var out bytes.Buffer
	err := Run(t.Context(), []string{"-project", testProject, "-fcm-endpoint", service.url, "-firestore", "-firestore-host", db.Addr(), "-out", file}, &out)
	if err != nil {
		t.Fatalf("the command fails: %v\n%s", err, out.String())
	}

	r := &testRun{probe: &probe{file: file}}
	rec := r.readRecord(t)
	check.Equal(t, differences(rec.FCM.Cases), nil, "differences of FCM")
	check.Equal(t, differences(rec.Firestore.Cases), nil, "differences of Firestore")
	check.Equal(t, len(rec.FCM.Cases), len(fcmCases(inventNames())), "cases of FCM")
	check.Equal(t, len(rec.Firestore.Cases), len(operations()), "operations of Firestore")
	check.Contains(t, out.String(), fmt.Sprintf("%d of %d are the same", len(rec.FCM.Cases), len(rec.FCM.Cases)), "the output")
	check.Contains(t, out.String(), fmt.Sprintf("%d of %d are the same", len(rec.Firestore.Cases), len(rec.Firestore.Cases)), "the output")
	check.Contains(t, out.String(), "no phone gets it", "the output")

	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, info.Mode().Perm(), 0o600, "the permissions of the file")
}

// Firestore is left alone without -firestore.
func TestFirestoreIsAskedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	db := serveFirestore(t, firestore.Options{})
	db.SetFault(func(method string, _ proto.Message) error {
		t.Errorf("%s reached Firestore", method)
		return nil
	})
	r := newRun(t, serveFCM(t, nil), db)
	r.firestore = false
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(r.readRecord(t).Firestore.Cases), 0, "operations in the file")
}

// What cannot be carried out is named, and the file says so, too.
func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	busy := func(status int) func(sentRequest, http.ResponseWriter) bool {
		return func(r sentRequest, w http.ResponseWriter) bool {
			if !bytes.Contains(r.body, []byte("google_x")) {
				return false
			}
			w.WriteHeader(status)
			return true
		}
	}
	for name, c := range map[string]struct {
		change func(sentRequest, http.ResponseWriter) bool
		set    func(*fakeFCM, *testRun)
		want   string
	}{
		"a role is missing": {set: func(f *fakeFCM, _ *testRun) { f.SetOutcome("/topics/*", "PERMISSION_DENIED") }, want: "notification to a topic: answered 403 PERMISSION_DENIED"},
		"nothing listens":   {set: func(_ *fakeFCM, r *testRun) { r.fcmEndpoint = "http://127.0.0.1:1" }, want: "connection refused"},
		"no address":        {set: func(_ *fakeFCM, r *testRun) { r.fcmEndpoint = "fcm" }, want: "-fcm-endpoint"},
		"too many requests": {change: busy(http.StatusTooManyRequests), want: "data key google_x: answered 429"},
		"out of order":      {change: busy(http.StatusServiceUnavailable), want: "data key google_x: answered 503"},
		"no folder":         {set: func(_ *fakeFCM, r *testRun) { r.file = filepath.Join(r.file, "none", "probe.json") }, want: "writing the answers"},
		"no Firestore": {set: func(_ *fakeFCM, r *testRun) {
			r.firestore, r.firestoreHost = true, "127.0.0.1:1"
			r.limits = limits{operation: 100 * time.Millisecond, cleanup: 100 * time.Millisecond}
		}, want: "Firestore: write and read"},
		"no caller":    {set: func(f *fakeFCM, _ *testRun) { f.SetOutcome("/topics/*", "UNAUTHENTICATED") }, want: "The credentials need the role"},
		"a wrong path": {set: func(_ *fakeFCM, r *testRun) { r.fcmEndpoint += "/elsewhere" }, want: "given up after case 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := serveFCM(t, c.change)
			r := newRun(t, service, nil)
			if c.set != nil {
				c.set(service, r)
			}
			check.Error(t, "the command", r.run(t.Context()), c.want)
			if name != "no folder" {
				check.Between(t, len(r.readRecord(t).Faults), 1, 4, "faults in the file")
			}
		})
	}
	for name, args := range map[string][]string{
		"-project":     {"-out", "none.json"},
		"arguments":    {"-project", testProject, "more"},
		"not defined":  {"-colour"},
		"is not the i": {"-project", "a/b"},
	} {
		check.Error(t, fmt.Sprint(args), Run(t.Context(), args, &bytes.Buffer{}), name)
	}
}

// Three faults in a row end the probe, so that a broken network does not cost a wait for each
// case.
func TestThreeFaultsInARowEndIt(t *testing.T) {
	t.Parallel()
	const good = 4
	var sent atomic.Int64
	service := serveFCM(t, func(_ sentRequest, w http.ResponseWriter) bool {
		if sent.Add(1) <= good {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	r := newRun(t, service, nil)
	check.Error(t, "the command", r.run(t.Context()), fmt.Sprintf("given up after case %d", good+maxFaultsInARow))
	check.Equal(t, len(service.requests()), good+maxFaultsInARow, "requests")
	check.Equal(t, len(r.readRecord(t).FCM.Cases), good, "cases in the file")
}

// No token, id or name of the project is in the file, whatever the services answer.
func TestTheFileHasNothingSecret(t *testing.T) {
	t.Parallel()
	const number, person, link = "407408718192", "ops-robot@retailer-prod-7.iam.gserviceaccount.com", "ClVwcm9qZWN0cy9yZXRhaWxlci1wcm9k"
	gossip := func(more string) string {
		return "project " + testProject + " (project_number:" + number + ") of " + person + " projects/" + number + "/messages/0:1795461865703614%a19 " +
			"https://console.firebase.google.com/v1/r/project/" + testProject + "/firestore/indexes?create_composite=" + link + " " + more
	}
	service := serveFCM(t, func(r sentRequest, w http.ResponseWriter) bool {
		if !bytes.Contains(r.body, []byte("installation")) && !bytes.Contains(r.body, []byte("APA91b")) && !bytes.Contains(r.body, []byte(`"fid"`)) {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"name": %q, "error": {"status": %q, "message": %q, "details": [{"@type": %q, "fieldViolations": [{"field": %q}]}]}}`,
			gossip(""), gossip(""), gossip(string(r.body)), gossip(""), gossip(string(r.body)))
		return true
	})
	db := serveFirestore(t, firestore.Options{})
	db.SetFaultAfter(func(method string, request proto.Message) error {
		if method == "RunQuery" {
			return status.Error(codes.FailedPrecondition, gossip(fmt.Sprint(request)))
		}
		if method == "RunAggregationQuery" {
			return status.Error(codes.PermissionDenied, gossip(fmt.Sprint(request)))
		}
		return nil
	})
	r := newRun(t, service, db)
	r.database = "retail-eu-database"
	_ = r.run(t.Context()) // it fails, and its faults are in the file

	text := r.readFile(t)
	secrets := []string{testProject, number, person, link, r.database, "carillon-probe-", "carillon-none-", "APA91b", "0:179546"}
	for _, sent := range service.requests() {
		secrets = append(secrets, targetsOf(t, sent.body)...)
	}
	check.Between(t, len(secrets), 20, 1000, "secrets")
	for _, secret := range secrets {
		check.NotContains(t, text, secret, "the file")
	}
	rec := r.readRecord(t)
	check.Between(t, len(differences(rec.FCM.Cases)), 5, 30, "answers with gossip")
	check.Between(t, len(rec.Faults), 1, 10, "faults in the file")
	check.Contains(t, text, "<token>", "the file")
	check.Contains(t, text, "create_composite=<index>", "the file")
}
