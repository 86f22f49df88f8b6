package store

import (
	"context"
	"crypto/rand"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// instanceDoc is instances/{id}: what one instance of deliver needs of a project's FCM
// quota. The document is below firebaseProjects/{project} for another project than the
// default one. None of its fields is indexed, because all of them change with each write.
type instanceDoc struct {
	Rate     float64   `firestore:"rate"`
	Known    float64   `firestore:"known"`
	Ramp     float64   `firestore:"ramp"`
	At       time.Time `firestore:"at,serverTimestamp"`
	ExpireAt time.Time `firestore:"expireAt"`
}

// instanceGoneAfter is the age at which a reader deletes the document of an instance that
// ended without deleting it. The TTL would take up to a day.
const instanceGoneAfter = time.Minute

// An Instance exchanges with the other instances of deliver what each needs of one
// project's quota. StoreDemand costs one write, ReadDemands one read for each live instance.
type Instance struct {
	store *Store
	doc   *firestore.DocumentRef
}

// NewInstance gives a new instance its id. It shares the quota of a Firebase project, ""
// for the default project, with the other instances. Nothing is stored before StoreDemand.
func (s *Store) NewInstance(project string) *Instance {
	all := s.db.Collection("instances")
	if project != "" {
		all = s.db.Collection("firebaseProjects").Doc(project).Collection("instances")
	}
	return &Instance{store: s, doc: all.Doc(rand.Text())}
}

// StoreDemand stores what the instance needs. It replaces what it stored before.
func (i *Instance) StoreDemand(ctx context.Context, d push.Demand) error {
	_, err := i.doc.Set(ctx, instanceDoc{Rate: d.Rate, Known: d.Known, Ramp: d.Ramp, ExpireAt: i.store.now().Add(time.Hour)})
	return classifyError(err, "announcing the demand of instance %s", i.doc.ID)
}

// ReadDemands reads what the other live instances need. Ages are by Firestore's clock.
func (i *Instance) ReadDemands(ctx context.Context) ([]push.Demand, error) {
	snaps, err := i.doc.Parent.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "reading the demands of the instances")
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
		case age > instanceGoneAfter:
			// The precondition: an instance that has announced again since stays. If the
			// delete fails, the next reader tries again.
			_, _ = snap.Ref.Delete(ctx, firestore.LastUpdateTime(snap.UpdateTime))
		}
	}

	return others, nil
}

// DeleteDemand deletes what the instance announced: it is idle or about to end.
func (i *Instance) DeleteDemand(ctx context.Context) error {
	_, err := i.doc.Delete(ctx)
	return classifyError(err, "deleting the demand of instance %s", i.doc.ID)
}
