package firestore_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestAServerGoesOnWithTheDocumentsOfAnother checks, through the client, that documents keep
// their fields and times, and that a server can be saved after it was closed.
func TestAServerGoesOnWithTheDocumentsOfAnother(t *testing.T) {
	t.Parallel()
	first := start(t, firestore.Options{})
	c := connectTo(t, first.Addr(), "demo-kept")
	ref := c.Doc("cities/riga")
	if _, err := ref.Set(t.Context(), map[string]any{"people": 605273, "names": []string{"Rīga", "Riga"}}); err != nil {
		t.Fatal(err)
	}
	before, err := ref.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	var saved bytes.Buffer
	contents, err := first.Save(&saved)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, contents, firestore.Contents{Databases: 1, Documents: 1}, "what was saved")

	second := start(t, firestore.Options{Snapshot: &saved})
	check.Equal(t, second.Loaded(), contents, "what was loaded")
	after, err := connectTo(t, second.Addr(), "demo-kept").Doc("cities/riga").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, after.Data(), before.Data(), "the fields after the restart")
	check.Equal(t, after.CreateTime, before.CreateTime, "the create time after the restart")
	check.Equal(t, after.UpdateTime, before.UpdateTime, "the update time after the restart")
}

func TestAServerDoesNotStartWithAPartOfASnapshot(t *testing.T) {
	t.Parallel()
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{Snapshot: strings.NewReader(`{"snapshot":"firestore","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n")})
	if err == nil {
		s.Close()
	}
	check.Error(t, "starting with a snapshot that was cut", err, "the file is cut")
}

// TestASnapshotOverHTTP saves a running server and puts the snapshot back, as curl does.
func TestASnapshotOverHTTP(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	at := testcloud.At(t, "http://"+s.Addr())
	mustCommit(t, c, set("a/1", 1), set("a/2", 2))
	saved := at.Ask("GET", "/emulator/snapshot", "")
	testcloud.CheckCode(t, saved, http.StatusOK)
	check.Equal(t, saved.Header.Get("Content-Type"), "application/x-ndjson", "the type of the snapshot")
	check.Equal(t, strings.Count(saved.Body, "\n"), 4, "the lines of the snapshot")

	l := listen(t, c)
	l.addQuery(1, "a", nil)
	l.want("ADD[1] +/a/1[1] +/a/2[1] CURRENT[1]")
	mustCommit(t, c, set("a/3", 3))
	l.want("+/a/3[1]")
	refused := at.Ask("PUT", "/emulator/snapshot", saved.Body[:len(saved.Body)/2])
	testcloud.CheckCode(t, refused, http.StatusBadRequest)
	check.Contains(t, refused.Body, "nothing was changed: the file is cut", "the answer to half of the snapshot")
	tx := begin(t, c, nil)
	testcloud.CheckCode(t, at.Ask("PUT", "/emulator/snapshot", saved.Body), http.StatusConflict)
	if _, err := commit(t, c, tx); err != nil {
		t.Fatal(err)
	}

	restored := at.Ask("PUT", "/emulator/snapshot", saved.Body)
	testcloud.CheckCode(t, restored, http.StatusOK)
	check.Equal(t, strings.TrimSpace(restored.Body), `{"databases":1,"documents":2}`, "the answer")
	l.want("+/a/1[1] +/a/2[1] -/a/3[1]")
	docs, err := query(c, &pb.StructuredQuery{From: from("a")})
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(docs), 2, "the documents afterwards")
}
