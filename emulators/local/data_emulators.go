package local

import (
	"fmt"
	"io"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
)

// keptFirestore returns what is kept of a Firestore.
func keptFirestore(s *firestore.Server) *keptEmulator {
	describe := func(c firestore.Contents) string {
		return fmt.Sprintf("%s in %s", count(c.Documents, "document"), count(c.Databases, "database"))
	}
	return &keptEmulator{changes: s.Changes, content: describe(s.Loaded()), save: func(w io.Writer) (string, error) {
		c, err := s.Save(w)
		return describe(c), err
	}}
}

// keptPubSub returns what is kept of a Pub/Sub.
func keptPubSub(s *pubsub.Server) *keptEmulator {
	describe := func(c pubsub.Contents) string {
		return fmt.Sprintf("%s with %s", count(c.Subscriptions, "subscription"), count(c.Messages, "message"))
	}
	return &keptEmulator{changes: s.Changes, content: describe(s.Loaded()), save: func(w io.Writer) (string, error) {
		c, err := s.Save(w)
		return describe(c), err
	}}
}

// keptAuth returns what is kept of a Firebase Auth.
func keptAuth(s *auth.Server) *keptEmulator {
	return &keptEmulator{changes: s.Changes, content: count(s.Loaded(), "account"), save: func(w io.Writer) (string, error) {
		n, err := s.Save(w)
		return count(n, "account"), err
	}}
}
