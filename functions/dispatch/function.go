// Package dispatch is the Cloud function that turns the audience of a mailing into
// batches. The batches of a page of customers are created in the commit that moves
// the cursor (the outbox pattern), and published after it.
package dispatch

import (
	"context"
	"net/http"
	"slices"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/cloud"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Handler serves the function. Its clients are made from the environment at the first
// request.
var Handler = cloud.Lazy(build)

func init() {
	cloud.ExitIfMisconfigured[settings]()
	functions.HTTP("dispatch", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	DispatchTopic string `env:"DISPATCH_TOPIC" envDefault:"dispatch"`
	DeliverTopic  string `env:"DELIVER_TOPIC" envDefault:"deliver"`
	SmallTopic    string `env:"DELIVER_SMALL_TOPIC" envDefault:"deliver-small"`
	TickTopic     string `env:"TICK_TOPIC" envDefault:"tick"`
	EventsTopic   string `env:"EVENTS_TOPIC" envDefault:"push-events"`
	Quota         int    `env:"FCM_QUOTA_PER_MINUTE" envDefault:"600000"`
	RostersFrom   int    `env:"ROSTERS_FROM_CUSTOMERS" envDefault:"50000"`
}

// Check returns every fault of the settings.
func (s *settings) Check() []error {
	return slices.Concat(
		cloud.Between("FCM_QUOTA_PER_MINUTE", s.Quota, 1, 1_000_000_000),
		cloud.Between("ROSTERS_FROM_CUSTOMERS", s.RostersFrom, 0, 1_000_000_000),
	)
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}
	q := queue.New(c.PubSub, queue.Topics{Dispatch: set.DispatchTopic, Deliver: set.DeliverTopic,
		DeliverSmall: set.SmallTopic, Tick: set.TickTopic, Events: set.EventsTopic})
	return cloud.Traced(New(Deps{Store: store.New(c.Firestore, store.Options{RostersFrom: set.RostersFrom}), Queue: q, Log: c.Log, QuotaPerMinute: set.Quota, CallTimeout: set.CallTimeout})), nil
}
