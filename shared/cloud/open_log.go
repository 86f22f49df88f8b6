package cloud

import (
	"context"
	"log/slog"
	"os"
)

// OpenLog is like Open for a function that needs neither Firestore nor Pub/Sub: it reads
// the settings and makes the log, which becomes slog's default, too.
func OpenLog[T settings](context.Context) (set T, log *slog.Logger, err error) {
	if set, err = Load[T](readEnviron()); err != nil {
		return set, nil, err
	}
	if log, err = Log(os.Stdout, set.common()); err != nil {
		return set, nil, err
	}

	slog.SetDefault(log)
	return set, log, nil
}
