package adopt

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"carillon.example/shared/push"
)

// columns are the names of the columns of a CSV file; "": there is none.
type columns struct {
	customer, token, platform, app, addedAt, seenAt string
	// required are other columns that the file must have.
	required []string
	// leaveOut says whether the source knows that a row is of no use. cell returns the
	// row's cell of a column, "" if the file has no such column.
	leaveOut func(cell func(string) string) bool
	// platforms translates the cells of the platform; nil: android, ios and web in any case.
	platforms map[string]push.Platform
	// timeLayouts are the layouts in which times may be written; nil: defaultTimeLayouts.
	timeLayouts []string
}

// oneSignal describes OneSignal's export of subscriptions, as its reference does (POST
// /players/csv_export, with the extra fields external_user_id and notification_types).
// Its device_type is a number: 0 is iOS, 1 Android, 5 and others are browsers.
var oneSignal = columns{
	customer: "external_user_id", token: "identifier", platform: "device_type", addedAt: "created_at", seenAt: "last_active",
	platforms:   map[string]push.Platform{"0": push.IOS, "1": push.Android, "5": push.Web, "7": push.Web, "8": push.Web},
	timeLayouts: []string{"2006-01-02 15:04:05", time.RFC3339},
	// Without them people who unsubscribed would get pushes again.
	required: []string{"invalid_identifier", "notification_types"},
	leaveOut: func(cell func(string) string) bool {
		invalid := strings.ToLower(cell("invalid_identifier"))
		return invalid == "t" || invalid == "true" || strings.HasPrefix(cell("notification_types"), "-")
	},
}

// readCSV reads a file, also one that is compressed by gzip.
func readCSV(file string, c columns, defaults entry, each func(entry)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()

	var in io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		unzipped, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		in = unzipped
	}
	if err := c.readRows(in, defaults, each); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readRows reads the header and every row.
func (c *columns) readRows(in io.Reader, defaults entry, each func(entry)) error {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1 // a short row lacks its last cells
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for _, name := range append([]string{c.customer, c.token, c.platform, c.app, c.addedAt, c.seenAt}, c.required...) {
		if name != "" && !slices.Contains(header, name) {
			return fmt.Errorf("there is no column %q; the columns are %s", name, strings.Join(header, ", "))
		}
	}

	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		e, err := c.entryOf(header, row, defaults)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		e.place = fmt.Sprintf("line %d", line)
		each(e)
	}
}

// entryOf makes an entry of a row.
func (c *columns) entryOf(header, row []string, e entry) (entry, error) {
	cell := func(name string) string {
		if i := slices.Index(header, name); name != "" && i >= 0 && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}

	e.customer, e.token = cell(c.customer), cell(c.token)
	if app := cell(c.app); app != "" {
		e.app = app
	}
	if text := cell(c.platform); text != "" {
		platform, err := c.readPlatform(text)
		if err != nil {
			return e, err
		}
		e.platform = platform
	}
	var err error
	if e.addedAt, err = parseTime(cell(c.addedAt), c.timeLayouts); err != nil {
		return e, err
	}
	if e.seenAt, err = parseTime(cell(c.seenAt), c.timeLayouts); err != nil {
		return e, err
	}
	if c.leaveOut != nil && c.leaveOut(cell) {
		e.leaveOut = unsubscribed
	}
	return e, nil
}

// readPlatform reads the cell of a platform. A platform of OneSignal that gets no FCM
// tokens is none.
func (c *columns) readPlatform(text string) (push.Platform, error) {
	if c.platforms != nil {
		return c.platforms[text], nil
	}
	return parsePlatform(text)
}

// parsePlatform reads the name of a platform, in any case.
func parsePlatform(text string) (push.Platform, error) {
	switch p := push.Platform(strings.ToLower(text)); p {
	case push.Android, push.IOS, push.Web, "":
		return p, nil
	}
	return "", fmt.Errorf("the platform is %q, want android, ios or web", push.Truncate(text, 40))
}
