package cloud

import (
	"io"
	"log/slog"
	"os"
)

// ServiceName is the environment variable with the name of the service, which Cloud Run
// sets, and nobody else does.
const ServiceName = "K_SERVICE"

// ExitIfMisconfigured ends the process of a function on Cloud Run whose settings are wrong,
// and logs every fault. Functions call it in init, before they serve: Cloud Run then calls
// the revision failed and leaves the traffic with the one before. Elsewhere it does
// nothing: the first request is answered with 503 (see Lazy).
func ExitIfMisconfigured[T settings]() {
	err := checkRevision[T](readEnviron())
	if err == nil {
		return
	}
	if log, logErr := Log(os.Stdout, Common{LogLevel: "info"}); logErr == nil {
		slog.SetDefault(log)
	}
	slog.Error("the function cannot start", "error", err)
	os.Exit(1)
}

// checkRevision returns the faults of the settings of a process on Cloud Run.
func checkRevision[T settings](environ map[string]string) error {
	if environ[ServiceName] == "" {
		return nil
	}
	set, err := Load[T](environ)
	if err != nil {
		return err
	}
	_, err = Log(io.Discard, set.common())
	return err
}
