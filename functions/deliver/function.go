// Package deliver is the Cloud function that sends: it leases a batch, sends to the
// targets that have no result yet, saves results as the answers come, flags invalid
// tokens, and settles the batch. docs/deliver.md draws the way of a batch.
package deliver

import (
	"cmp"
	"context"
	"net/http"
	"os/signal"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/cloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Handler serves the function. Its clients are made from the environment at the first
// request.
var Handler = cloud.Lazy(build)

func init() {
	cloud.ExitIfMisconfigured[settings]()
	functions.HTTP("deliver", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	EventsTopic  string  `env:"EVENTS_TOPIC" envDefault:"push-events"`
	FCMEndpoint  string  `env:"FCM_ENDPOINT" envDefault:"https://fcm.googleapis.com"`
	ProofTopic   string  `env:"PROOF_TOPIC" envDefault:"carillon-proof"`
	Quota        int     `env:"FCM_QUOTA_PER_MINUTE" envDefault:"600000"`
	MaxInstances int     `env:"MAX_INSTANCES" envDefault:"10"`
	InvalidShare float64 `env:"INVALID_SHARE" envDefault:"0.3"`

	Apps   push.AppProjects   `env:"FIREBASE_PROJECTS"`
	Quotas push.ProjectQuotas `env:"FIREBASE_QUOTAS"`
}

// Check returns every fault of the settings.
func (s *settings) Check() []error {
	faults := cloud.Between("FCM_QUOTA_PER_MINUTE", s.Quota, 1, 1_000_000_000)
	faults = append(faults, cloud.Between("MAX_INSTANCES", s.MaxInstances, 1, 1000)...)
	faults = append(faults, cloud.Between("INVALID_SHARE", s.InvalidShare, 0.01, 1)...)
	if err := s.Quotas.Check(s.Apps.ResolveProjects(s.Project)); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// senderConfig returns the config of the sender. peers connects the senders of a
// project, "" for the default project.
func (s *settings) senderConfig(peers func(project string) fcm.Peers) fcm.Config {
	projects := s.Apps.ResolveProjects(s.Project)
	c := fcm.Config{Project: projects.Default, Own: s.Project, Endpoint: s.FCMEndpoint, ProofTopic: s.ProofTopic,
		QuotaPerMinute: cmp.Or(s.Quotas[projects.Default], s.Quota), MaxInstances: s.MaxInstances, Peers: peers("")}
	for _, id := range projects.OtherProjects() {
		c.Projects = append(c.Projects, fcm.Project{ID: id, QuotaPerMinute: cmp.Or(s.Quotas[id], s.Quota), Peers: peers(id)})
	}
	return c
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}

	st := store.New(c.Firestore, store.Options{})
	sender, err := fcm.New(ctx, set.senderConfig(func(project string) fcm.Peers { return st.NewInstance(project) }))
	if err != nil {
		return nil, c.Fail(err)
	}
	// Cloud Run sends SIGTERM ten seconds before it ends an instance. Then no call sends
	// further messages, and the instance gives its share of the quota to the others.
	stopping, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(stopping, sender.ReleaseQuota)
	q := queue.New(c.PubSub, queue.Topics{Events: set.EventsTopic})
	return cloud.Traced(New(Deps{Store: st, Queue: q, Sender: sender, Log: c.Log, Projects: set.Apps.ResolveProjects(set.Project),
		CallTimeout: set.CallTimeout, InvalidShare: set.InvalidShare, Stopping: stopping})), nil
}
