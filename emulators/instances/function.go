package instances

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"carillon.example/emulators/loopback"
	"carillon.example/functions/console"
	"carillon.example/functions/customers"
	"carillon.example/functions/deliver"
	"carillon.example/functions/devices"
	"carillon.example/functions/dispatch"
	"carillon.example/functions/mailings"
	"carillon.example/functions/tick"
)

// Handlers are the handlers of the functions as they are deployed, by name.
var Handlers = map[string]http.Handler{
	"mailings": mailings.Handler, "customers": customers.Handler,
	"dispatch": dispatch.Handler, "deliver": deliver.Handler, "tick": tick.Handler,
	"devices": devices.Handler, "console": console.Handler,
}

// shutdownTimeout is the time that Cloud Run gives an instance between SIGTERM and SIGKILL.
const shutdownTimeout = 10 * time.Second

// ServeFunction serves one function in this process, as an instance on Cloud Run does. The
// environment variables name the servers. The first line of the output is the address.
// After SIGTERM the requests have shutdownTimeout to finish. The process also ends when its
// standard input is closed, so that it does not outlive its parent.
func ServeFunction(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || Handlers[args[0]] == nil {
		names := make([]string, 0, len(Handlers))
		for n := range Handlers {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("function: give one function: %s", strings.Join(names, ", "))
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop() // the parent has ended
	}()

	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("function %s: %w", args[0], err)
	}

	srv := &http.Server{Handler: loopback.Protect(Handlers[args[0]]), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	fmt.Fprintln(out, ln.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}

	// WithoutCancel: ctx has ended, and the requests in progress get time to finish.
	shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(shutdownCtx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("function %s did not finish its requests in %s: %w", args[0], shutdownTimeout, err)
	}
	return nil
}
