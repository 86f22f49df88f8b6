// Package cloud is the process a function runs in: its settings, its clients
// for Google Cloud, and its structured log.
package cloud

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Common is what every function is told by its environment. A function's own
// settings embed it.
type Common struct {
	Project     string        `env:"GOOGLE_CLOUD_PROJECT,required,notEmpty"`
	Database    string        `env:"FIRESTORE_DATABASE" envDefault:"(default)"`
	LogLevel    string        `env:"LOG_LEVEL" envDefault:"info"`
	CallTimeout time.Duration `env:"CALL_TIMEOUT" envDefault:"60s"` // the function's time-out
}

func (c Common) common() Common { return c }

// settings are what embeds Common.
type settings interface{ common() Common }

// A checker finds what is wrong with settings whose types are right.
type checker interface{ Check() []error }

// Load reads settings of type T from the environment given, and reports every
// fault together.
func Load[T any](environ map[string]string) (T, error) {
	var t T
	err := env.ParseWithOptions(&t, env.Options{Environment: environ})
	var faults []error
	if agg, ok := errors.AsType[env.AggregateError](err); ok {
		faults = append(faults, agg.Errors...)
	} else if err != nil {
		faults = append(faults, err)
	}
	if c, ok := any(&t).(checker); ok {
		faults = append(faults, c.Check()...)
	}
	if len(faults) > 0 {
		return t, fmt.Errorf("settings: %w", errors.Join(faults...))
	}

	return t, nil
}

// environ is the environment of this process.
func environ() map[string]string {
	m := map[string]string{}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Between faults a number outside its range; name is the variable's.
func Between[N int | float64 | time.Duration](name string, v, low, high N) []error {
	if v < low || v > high {
		return []error{fmt.Errorf("%s is %v, not between %v and %v", name, v, low, high)}
	}
	return nil
}
