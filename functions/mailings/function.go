// Package mailings is the Cloud function that accepts mailings over HTTP. It does not
// read the audience: a mailing to one customer and one to ten million take the same
// time.
package mailings

import (
	"context"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/api"
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
	functions.HTTP("mailings", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	DispatchTopic string       `env:"DISPATCH_TOPIC" envDefault:"dispatch"`
	MessagesTopic string       `env:"MESSAGES_TOPIC" envDefault:"messages"`
	FCMEndpoint   string       `env:"FCM_ENDPOINT" envDefault:"https://fcm.googleapis.com"`
	ProofTopic    string       `env:"PROOF_TOPIC" envDefault:"carillon-proof"`
	Callers       push.Callers `env:"CALLERS"`
	Console       push.Caller  `env:"CONSOLE_CALLER"`
	RequireKey    bool         `env:"REQUIRE_IDEMPOTENCY_KEY" envDefault:"false"`
	Quota         int          `env:"FCM_QUOTA_PER_MINUTE" envDefault:"600000"`

	Apps     push.AppProjects `env:"FIREBASE_PROJECTS"`
	DataApps push.AndroidApps `env:"DELIVERY_DATA_APPS"`
}

// Check returns every fault of the settings.
func (s *settings) Check() []error {
	return cloud.Between("FCM_QUOTA_PER_MINUTE", s.Quota, 1, 1_000_000_000)
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}
	sender, err := fcm.New(ctx, fcm.Config{Project: set.Apps.ResolveProjects(set.Project).Default, Own: set.Project, Endpoint: set.FCMEndpoint, ProofTopic: set.ProofTopic})
	if err != nil {
		return nil, c.Fail(err)
	}
	q := queue.New(c.PubSub, queue.Topics{Dispatch: set.DispatchTopic, Messages: set.MessagesTopic})
	return cloud.Traced(New(Deps{Store: store.New(c.Firestore, store.Options{}), Queue: q, Proof: sender, Log: c.Log,
		API: api.Options{Timeout: set.CallTimeout, Callers: set.Callers, Console: push.CallerWithEmail(string(set.Console))}, RequireKey: set.RequireKey, QuotaPerMinute: set.Quota, ShowFCMReport: len(set.DataApps) > 0})), nil
}
