package store

import (
	"context"
	"crypto/rand"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// instanceDoc is a document of instances/: what one instance of deliver wants of
// the project's FCM quota. None of its fields is indexed: all of them change
// with each write.
type instanceDoc struct {
	Rate     float64   `firestore:"rate"`
	Known    float64   `firestore:"known"`
	Ramp     float64   `firestore:"ramp"`
	At       time.Time `firestore:"at,serverTimestamp"`
	ExpireAt time.Time `firestore:"expireAt"`
}

// forgottenAfter is how old the document of an instance is that whoever reads it
// deletes: it ended without a word. The TTL would take up to a day.
const forgottenAfter = time.Minute

// An Instance is how one instance of deliver tells the others what it wants, and
// hears what they want. It costs a write for each Announce and a read for each
// live instance for each Others.
type Instance struct {
	store *Store
	doc   *firestore.DocumentRef
}

// NewInstance names a new instance; nothing is stored before it announces.
func (s *Store) NewInstance() *Instance {
	return &Instance{store: s, doc: s.instances().Doc(rand.Text())}
}

func (s *Store) instances() *firestore.CollectionRef { return s.db.Collection("instances") }

// Announce stores what the instance wants, in place of what it stored before.
func (i *Instance) Announce(ctx context.Context, d push.Demand) error {
	_, err := i.doc.Set(ctx, instanceDoc{Rate: d.Rate, Known: d.Known, Ramp: d.Ramp, ExpireAt: i.store.now().Add(time.Hour)})
	return classify(err, "announcing the demand of instance %s", i.doc.ID)
}

// Others reads what the other live instances want. Ages are by Firestore's
// clock.
func (i *Instance) Others(ctx context.Context) ([]push.Demand, error) {
	snaps, err := i.store.instances().Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "reading the demands of the instances")
	}

	var others []push.Demand
	for _, snap := range snaps {
		var d instanceDoc
		if snap.Ref.ID == i.doc.ID || snap.DataTo(&d) != nil {
			continue
		}
		switch age := snap.ReadTime.Sub(d.At); {
		case age < push.DemandLife:
			others = append(others, push.Demand{Rate: d.Rate, Known: d.Known, Ramp: d.Ramp, Age: max(age, 0)})
		case age > forgottenAfter:
			// Somebody else may have done so, or it lives again: no matter.
			_, _ = snap.Ref.Delete(ctx, firestore.LastUpdateTime(snap.UpdateTime))
		}
	}
	return others, nil
}

// Leave takes back what the instance announced: it is idle, or about to end.
func (i *Instance) Leave(ctx context.Context) error {
	_, err := i.doc.Delete(ctx)
	return classify(err, "taking back the demand of instance %s", i.doc.ID)
}
