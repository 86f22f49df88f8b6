package firestore_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore"
)

type doc = map[string]any

func TestFaultBeforeLeavesNothingWritten(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	ref := connect(t, s.Addr()).Doc("a/b")
	s.SetFault(func(method string, _ proto.Message) error {
		if method == "Commit" {
			return status.Error(codes.PermissionDenied, "no")
		}
		return nil
	})
	if _, err := ref.Set(t.Context(), doc{"n": 1}); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("Set under fault: %v", err)
	}
	s.SetFault(nil)
	if _, err := ref.Get(t.Context()); status.Code(err) != codes.NotFound {
		t.Fatalf("Get after refused Set: %v, want NotFound", err)
	}
}

func TestFaultAfterLeavesTheEffect(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	ref := connect(t, s.Addr()).Doc("a/b")
	s.SetFaultAfter(func(method string, _ proto.Message) error {
		if method == "Commit" {
			return status.Error(codes.PermissionDenied, "lost")
		}
		return nil
	})
	if _, err := ref.Set(t.Context(), doc{"n": 1}); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("Set under fault: %v", err)
	}
	if snap, err := ref.Get(t.Context()); err != nil {
		t.Fatalf("Get after a lost answer: %v", err)
	} else if snap.Data()["n"] != int64(1) {
		t.Fatalf("n after a lost answer is %v, want 1", snap.Data()["n"])
	}
}

func TestFaultSeesTheRequestOfAStream(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	c := connect(t, s.Addr())
	s.SetFault(func(method string, _ proto.Message) error {
		if method == "RunQuery" {
			return status.Error(codes.ResourceExhausted, "slow down")
		}
		return nil
	})
	if _, err := c.Collection("a").Documents(t.Context()).GetAll(); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("query under fault: %v", err)
	}
}

func TestAdminDoorClearsOneDatabaseAndCounts(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	c := connect(t, s.Addr())
	ref := c.Doc("a/b")
	if _, err := ref.Set(t.Context(), doc{"n": 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := ref.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	var u firestore.Usage
	if err := json.Unmarshal(request(t, "GET", s.Addr(), "/emulator/usage"), &u); err != nil {
		t.Fatal(err)
	}
	if want := (firestore.Usage{Reads: 1, Writes: 1}); u != want {
		t.Errorf("usage %+v, want %+v", u, want)
	}
	name := "/emulator/v1/" + c.Doc("a/b").Path[:len(c.Doc("a/b").Path)-len("/a/b")]
	request(t, "DELETE", s.Addr(), name)
	if _, err := ref.Get(t.Context()); status.Code(err) != codes.NotFound {
		t.Errorf("Get after clear: %v, want NotFound", err)
	}
	if got := string(request(t, "GET", s.Addr(), "/")); got != "Ok\n" {
		t.Errorf("GET /: %q", got)
	}
}

func request(t *testing.T, method, addr, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %s: %v", method, path, resp.Status, err)
	} else if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status is %s, want 200: %s", method, path, resp.Status, b)
	}
	return b
}
