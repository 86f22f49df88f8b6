// Package tick is the Cloud function that Cloud Scheduler calls each minute: the timer, and
// the repair of what other calls could not finish. It starts mailings. It publishes messages
// that become due before its next round, each at its time, and lost messages again. It ends
// mailings that have expired, and finishes those that their last batch could not finish.
package tick

import (
	"context"
	"fmt"
	"net/http"
	"time"

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
	functions.HTTP("tick", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	DispatchTopic string        `env:"DISPATCH_TOPIC" envDefault:"dispatch"`
	DeliverTopic  string        `env:"DELIVER_TOPIC" envDefault:"deliver"`
	SmallTopic    string        `env:"DELIVER_SMALL_TOPIC" envDefault:"deliver-small"`
	MessagesTopic string        `env:"MESSAGES_TOPIC" envDefault:"messages"`
	EventsTopic   string        `env:"EVENTS_TOPIC" envDefault:"push-events"`
	TokenLife     time.Duration `env:"TOKEN_LIFE" envDefault:"6480h"`
	Every         time.Duration `env:"TICK_EVERY" envDefault:"1m"`

	DataEndpoint string           `env:"FCM_DATA_ENDPOINT" envDefault:"https://fcmdata.googleapis.com"`
	DataApps     push.AndroidApps `env:"DELIVERY_DATA_APPS"`
	DataEvery    time.Duration    `env:"DELIVERY_DATA_EVERY" envDefault:"24h"`
}

// Check returns every fault of the settings.
func (s *settings) Check() []error {
	faults := cloud.Between("TOKEN_LIFE", s.TokenLife, 24*time.Hour, 10*365*24*time.Hour)
	faults = append(faults, cloud.Between("DELIVERY_DATA_EVERY", s.DataEvery, time.Second, 7*24*time.Hour)...)
	faults = append(faults, cloud.Between("TICK_EVERY", s.Every, 10*time.Millisecond, 10*time.Minute)...)

	// If a call ended before the next round, nothing would be published at its time
	// in between.
	if longest := maxCallTimeOf(s.CallTimeout); longest < publishingTime(s.Every) {
		faults = append(faults, fmt.Errorf("CALL_TIMEOUT is %s, so a call may run for %s; with TICK_EVERY %s it has to run for %s", s.CallTimeout, longest, s.Every, publishingTime(s.Every)))
	}
	return faults
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}
	q := queue.New(c.PubSub, queue.Topics{Dispatch: set.DispatchTopic, Deliver: set.DeliverTopic, DeliverSmall: set.SmallTopic, Messages: set.MessagesTopic, Events: set.EventsTopic})
	s := store.New(c.Firestore, store.Options{TokenLife: set.TokenLife})
	deps := Deps{DeliveryEvery: set.DataEvery, Store: s, Queue: q, Log: c.Log, Every: set.Every, CallTimeout: set.CallTimeout}
	if len(set.DataApps) > 0 {
		if deps.Delivery, err = fcm.NewDeliveryDataClient(ctx, set.DataEndpoint, set.DataApps); err != nil {
			return nil, c.Fail(err)
		}
	}
	return cloud.Traced(New(deps)), nil
}
