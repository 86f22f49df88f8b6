// Package customers is the Cloud function that registers push tokens and says whether
// push can reach a customer.
package customers

import (
	"context"
	"net/http"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"carillon.example/shared/api"
	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Handler serves the function. Its clients are made from the environment at the first
// request.
var Handler = cloud.Lazy(build)

func init() {
	cloud.ExitIfMisconfigured[settings]()
	functions.HTTP("customers", Handler)
}

// settings is the function's environment.
type settings struct {
	cloud.Common
	EventsTopic string        `env:"EVENTS_TOPIC" envDefault:"push-events"`
	MaxTokens   int           `env:"MAX_TOKENS" envDefault:"20"`
	TokenLife   time.Duration `env:"TOKEN_LIFE" envDefault:"6480h"`
	Callers     push.Callers  `env:"CALLERS"`
	Console     push.Caller   `env:"CONSOLE_CALLER"`
}

// Check returns every fault of the settings.
func (s *settings) Check() []error {
	return append(cloud.Between("MAX_TOKENS", s.MaxTokens, 1, 100), cloud.Between("TOKEN_LIFE", s.TokenLife, 24*time.Hour, 10*365*24*time.Hour)...)
}

func build(ctx context.Context) (http.Handler, error) {
	set, c, err := cloud.Open[settings](ctx)
	if err != nil {
		return nil, err
	}
	q := queue.New(c.PubSub, queue.Topics{Events: set.EventsTopic})
	return cloud.Traced(New(Deps{Store: store.New(c.Firestore, store.Options{MaxTokens: set.MaxTokens, TokenLife: set.TokenLife}), Queue: q, MaxTokens: set.MaxTokens, Log: c.Log,
		API: api.Options{Timeout: set.CallTimeout, Callers: set.Callers, Console: push.CallerWithEmail(string(set.Console))}})), nil
}
