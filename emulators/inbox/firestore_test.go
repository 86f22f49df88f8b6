package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/inbox"
	"carillon.example/emulators/testcloud/check"
)

const (
	database  = "projects/demo/databases/(default)"
	documents = database + "/documents"
)

// dataHarness is a Firestore emulator, and an inbox that shows its documents.
type dataHarness struct {
	firestore *firestore.Server
	client    pb.FirestoreClient
	url       string
}

func newDataHarness(t *testing.T) dataHarness {
	t.Helper()
	phones, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phones.Close)
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn, err := grpc.NewClient("passthrough:///"+s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	page := httptest.NewServer(inbox.Handler(inbox.Options{FCM: phones.AdminHandler(), Firestore: s.HTTPHandler(), Project: "demo"}))
	t.Cleanup(page.CloseClientConnections)
	return dataHarness{s, pb.NewFirestoreClient(conn), page.URL}
}

// set writes documents by their paths in one commit.
func (w dataHarness) set(t *testing.T, docs map[string]map[string]*pb.Value) {
	t.Helper()
	var writes []*pb.Write
	for path, fields := range docs {
		writes = append(writes, &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: documents + "/" + path, Fields: fields}}})
	}
	if _, err := w.client.Commit(context.Background(), &pb.CommitRequest{Database: database, Writes: writes}); err != nil {
		t.Fatalf("writing %d documents: %v", len(docs), err)
	}
}

// get returns the fields of a document, nil if there is none.
func (w dataHarness) get(t *testing.T, path string) map[string]*pb.Value {
	t.Helper()
	d, err := w.client.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: documents + "/" + path})
	if err != nil {
		return nil
	}
	return d.GetFields()
}

func textValue(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}}
}

func number(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func mapValue(fields map[string]*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: fields}}}
}

// TestFirestoreIsBehindTheGuard checks that the documents and requests of the Firestore
// emulator are only for the page itself, and only under names of this machine.
func TestFirestoreIsBehindTheGuard(t *testing.T) {
	t.Parallel()
	w := newDataHarness(t)
	port := w.url[strings.LastIndex(w.url, ":"):]
	const doc = "/firestore/v1/" + documents + "/a/1"
	for _, c := range []struct {
		name, method, path string
		head               map[string]string
		want               int
	}{
		{"a document", "GET", doc, nil, 200},
		{"a document by a name of another site", "GET", doc, map[string]string{"Host": "rebound.example" + port}, 421},
		{"requests", "GET", "/firestore/emulator/requests", nil, 200},
		{"requests by a name of another site", "GET", "/firestore/emulator/requests", map[string]string{"Host": "rebound.example" + port}, 421},
		{"databases", "GET", "/firestore/emulator/databases", nil, 200},
		{"a change by another site", "PATCH", doc, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a change by another port", "PATCH", doc, map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"a change by another origin", "PATCH", doc, map[string]string{"Origin": "http://shop.example"}, 403},
		{"a deletion by another site", "DELETE", doc, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a query by another site", "POST", "/firestore/v1/" + documents + ":runQuery", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a change by the page", "PATCH", doc, map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"an unknown path", "GET", "/firestore/nothing", nil, 404},
	} {
		w.set(t, map[string]map[string]*pb.Value{"a/1": {"n": number(1)}})
		body := ""
		if c.method == "PATCH" || c.method == "POST" {
			body = "{}"
		}
		resp := request(t, c.method, w.url+c.path, c.head, body)
		check.Equal(t, resp.StatusCode, c.want, "%s: the status", c.name)
		check.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'", "%s: the policy", c.name)
		check.Equal(t, resp.Header.Get("Access-Control-Allow-Origin"), "", "%s: Access-Control-Allow-Origin", c.name)
		if c.want >= 400 {
			check.Equal(t, w.get(t, "a/1")["n"].GetIntegerValue(), 1, "%s: the document afterwards", c.name)
		}
	}
}

// TestPageKnowsWhetherThereIsFirestore checks what inbox.json says, and that without Firestore
// there is nothing to ask.
func TestPageKnowsWhetherThereIsFirestore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  string
		says bool
		want int
	}{"with Firestore": {newDataHarness(t).url, true, 200}, "without": {newHarness(t).url, false, 404}} {
		var about struct{ Firestore bool }
		b, err := io.ReadAll(request(t, "GET", c.url+"/inbox.json", nil, "").Body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := json.Unmarshal(b, &about); err != nil {
			t.Fatalf("%s: %v: %s", name, err, b)
		}
		check.Equal(t, about.Firestore, c.says, "%s: firestore in inbox.json", name)
		check.Equal(t, request(t, "GET", c.url+"/firestore/emulator/requests", nil, "").StatusCode, c.want, "%s: the status of requests", name)
	}
}

// TestHostileIdsReachFirestoreUnchanged checks that ids which look like parts of addresses
// name the same document behind the page.
func TestHostileIdsReachFirestoreUnchanged(t *testing.T) {
	t.Parallel()
	w := newDataHarness(t)
	for i, id := range []string{"a b", "a%2Fb", "x:commit", "?q=1#f", "...", "ü👩‍👩‍👧", "\u202eevil", `"<b>`, "a\\b", "+", ";"} {
		w.set(t, map[string]map[string]*pb.Value{"ids/" + id: {"n": number(int64(i))}})
		var escaped strings.Builder
		for _, b := range []byte(id) {
			fmt.Fprintf(&escaped, "%%%02X", b)
		}
		resp := request(t, http.MethodGet, w.url+"/firestore/v1/"+documents+"/ids/"+escaped.String(), nil, "")
		var got struct {
			Fields struct{ N struct{ IntegerValue string } }
		}
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		check.Equal(t, got.Fields.N.IntegerValue, fmt.Sprint(i), "%q: the field n", id)
	}
}

func timestamp() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
