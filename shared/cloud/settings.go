// Package cloud has what the process of every function needs: settings from the
// environment, clients of Google Cloud, and a structured log.
package cloud

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Common has the settings that every function reads from its environment. The settings
// of a function embed it.
type Common struct {
	Project     string        `env:"GOOGLE_CLOUD_PROJECT,required,notEmpty"`
	Database    string        `env:"FIRESTORE_DATABASE" envDefault:"(default)"`
	LogLevel    string        `env:"LOG_LEVEL" envDefault:"info"`
	CallTimeout time.Duration `env:"CALL_TIMEOUT" envDefault:"60s"` // the timeout of the function
}

func (c Common) common() Common { return c }

// settings is any type that embeds Common.
type settings interface{ common() Common }

// A checker returns the faults of settings that could be parsed.
type checker interface{ Check() []error }

// Load reads settings of type T from an environment: a map from the names of the variables
// to their values. The error names all faults together.
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

// readEnviron returns the environment of this process by name.
func readEnviron() map[string]string {
	m := map[string]string{}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Between returns a fault if v is less than low or greater than high, and nil otherwise.
// name is the name of the environment variable.
func Between[N int | float64 | time.Duration](name string, v, low, high N) []error {
	if v < low || v > high {
		return []error{fmt.Errorf("%s is %v; it must be between %v and %v", name, v, low, high)}
	}
	return nil
}
