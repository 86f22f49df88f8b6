package store_test

import (
	"testing"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A harness is a store over a database of its own.
type harness struct {
	*testcloud.Cloud
	*store.Store
	clock *testcloud.Clock
}

func newHarness(t testing.TB, database ...grpc.DialOption) *harness {
	t.Helper()
	w := &harness{Cloud: testcloud.New(t, database...), clock: testcloud.Noon()}
	w.Store = store.New(w.DB(), store.Options{Now: w.clock.Now})
	return w
}

func (w *harness) register(t *testing.T, customer, token string) store.RegistrationResult {
	t.Helper()
	r, err := w.RegisterToken(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// spoilCustomer changes the document of a customer so that it cannot be decoded.
func (w *harness) spoilCustomer(t testing.TB, id string) error {
	up := []firestore.Update{{Path: "tokens", Value: "spoilt"}, {Path: "changedAt", Value: firestore.ServerTimestamp}}
	_, err := w.DB().Doc("customers/"+push.CustomerKey(id)).Update(t.Context(), up)
	return err
}
