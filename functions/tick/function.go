// Package tick is the Cloud function that Cloud Scheduler calls each minute:
// the timer and the safety net. It starts what is due, publishes what falls due
// until its next round, each at its time, publishes again what got lost, ends what
// has expired, and finishes what the last batch could not finish itself.
package tick

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/cloud"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Handler serves the function; its clients are made at the first request, from
// the environment.
var Handler = cloud.Lazy(build)

func init() { functions.HTTP("tick", Handler) }

// settings is the function's environment.
type settings struct {
	cloud.Common
	DispatchTopic string        `env:"DISPATCH_TOPIC" envDefault:"dispatch"`
	DeliverTopic  string        `env:"DELIVER_TOPIC" envDefault:"deliver"`
	SmallTopic    string        `env:"DELIVER_SMALL_TOPIC" envDefault:"deliver-small"`
	EventsTopic   string        `env:"EVENTS_TOPIC" envDefault:"push-events"`
	TokenLife     time.Duration `env:"TOKEN_LIFE" envDefault:"6480h"`
	Every         time.Duration `env:"TICK_EVERY" envDefault:"1m"`
}

// Check names what is wrong with the settings.
func (s *settings) Check() []error {
	faults := cloud.Between("TOKEN_LIFE", s.TokenLife, 24*time.Hour, 10*365*24*time.Hour)
	faults = append(faults, cloud.Between("TICK_EVERY", s.Every, 10*time.Millisecond, 10*time.Minute)...)

	// A call that ends before the next round leaves a gap in which nothing is
	// published at its time.
	if longest := longestCall(s.CallTimeout); longest < horizonOf(s.Every) {
		faults = append(faults, fmt.Errorf("CALL_TIMEOUT is %s, and a call may stay for %s of it: with TICK_EVERY %s it has to stay for %s", s.CallTimeout, longest, s.Every, horizonOf(s.Every)))
	}
	return faults
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}
	q := queue.New(c.PubSub, queue.Topics{Dispatch: set.DispatchTopic, Deliver: set.DeliverTopic, DeliverSmall: set.SmallTopic, Events: set.EventsTopic})
	s := store.New(c.Firestore, store.Options{TokenLife: set.TokenLife})
	return cloud.Traced(New(Deps{Store: s, Queue: q, Log: c.Log, Every: set.Every, CallTimeout: set.CallTimeout})), nil
}
