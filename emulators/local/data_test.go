package local

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/testcloud/check"
)

// A counter is an emulator whose state is a text. order notes which emulators were saved.
type counter struct {
	text    string
	changes uint64
	fails   error
	order   *[]string
}

func (c *counter) change(text string) { c.text, c.changes = text, c.changes+1 }

// keep adds a counter with a file to a folder.
func (c *counter) keep(t *testing.T, d *dataFolder, file string) {
	t.Helper()
	err := d.startKept(file, func(r io.Reader) (*keptEmulator, error) {
		if r != nil {
			text, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			c.text = string(text)
		}
		return &keptEmulator{changes: func() uint64 { return c.changes }, content: c.text, save: func(w io.Writer) (string, error) {
			*c.order = append(*c.order, file)
			if _, err := io.WriteString(w, c.text); err != nil {
				return "", err
			}
			return c.text, c.fails
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newFolder returns a folder with two counters, whose files are a and b.
func newFolder(t *testing.T, dir string) (d *dataFolder, a, b *counter) {
	t.Helper()
	order := &[]string{}
	d, a, b = &dataFolder{dir: dir}, &counter{order: order}, &counter{order: order}
	a.keep(t, d, "a")
	b.keep(t, d, "b")
	return d, a, b
}

func (d *dataFolder) mustSave(t *testing.T) {
	t.Helper()
	if err := d.saveChanges(); err != nil {
		t.Fatal(err)
	}
}

// filesIn returns the contents of the files of a folder, by name.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

// TestOnlyChangesAreSaved checks which files are written, and that the one that was started last
// is written first.
func TestOnlyChangesAreSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, a, b := newFolder(t, dir)
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir), map[string]string{}, "the files while nothing has changed")

	a.change("a1")
	b.change("b1")
	d.mustSave(t)
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir), map[string]string{"a": "a1", "b": "b1"}, "the files after both have changed")
	b.change("b2")
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir), map[string]string{"a": "a1", "b": "b2"}, "the files after one has changed")
	check.Equal(t, *a.order, []string{"b", "a", "b"}, "what was written")
	check.Equal(t, d.contents(), "a1, b2", "what is said of the files")

	d, _, b = newFolder(t, dir)
	check.Equal(t, b.text, "b2", "the state of the next process")
	check.Equal(t, d.contents(), "a1, b2", "what the next process says of the files")
	d.mustSave(t)
	check.Equal(t, len(*b.order), 0, "the number of files that the next process writes before a change")
}

// TestAFailedSaveChangesNoFile checks that all files stay when one cannot be written, that the
// end reports it, and that the next save writes them.
func TestAFailedSaveChangesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, a, b := newFolder(t, dir)
	former := map[string]string{"a": "a1", "b": "b1"}
	a.change("a1")
	b.change("b1")
	d.mustSave(t)

	a.change("a2")
	b.change("b2")
	a.fails = errors.New("the disk is full")
	check.Error(t, "a save that fails", d.saveChanges(), "the disk is full")
	check.Equal(t, filesIn(t, dir), former, "the files after a save that failed")
	_, err := (&Cloud{data: d}).SavedAtEnd()
	check.Error(t, "the end after a save that failed", err, "the last changes are not saved: writing "+filepath.Join(dir, "a")+": the disk is full")

	a.fails = nil
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir), map[string]string{"a": "a2", "b": "b2"}, "the files after the next save")
	text, err := (&Cloud{data: d}).SavedAtEnd()
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, text, "saved in "+dir+": a2, b2", "what the end says")
}

// TestDocumentsAreReplacedBeforeMessages lets the replacement of the first file fail. The second
// one, whose messages are about documents of the first one, must stay too.
func TestDocumentsAreReplacedBeforeMessages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, a, b := newFolder(t, dir)
	b.change("b1")
	d.mustSave(t)
	if err := os.MkdirAll(filepath.Join(dir, "a", "a folder is not replaced"), 0o700); err != nil {
		t.Fatal(err)
	}

	a.change("a2")
	b.change("b2")
	check.Error(t, "a save whose first file cannot be replaced", d.saveChanges(), "replacing "+filepath.Join(dir, "a"))
	text, err := os.ReadFile(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, string(text), "b1", "the second file")
}

// TestAChangeDuringASaveIsSavedNext changes the state after it was read.
func TestAChangeDuringASaveIsSavedNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, a, _ := newFolder(t, dir)
	a.change("a1")
	save := d.kept[0].save
	d.kept[0].save = func(w io.Writer) (string, error) {
		content, err := save(w)
		a.change("a2")
		d.kept[0].save = save
		return content, err
	}
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir)["a"], "a1", "the file of the save during which the state changed")
	d.mustSave(t)
	check.Equal(t, filesIn(t, dir)["a"], "a2", "the file of the next save")
}

// TestAnInvalidFileIsNamedAndKept starts with a file that was cut, and with one of another
// version.
func TestAnInvalidFileIsNamedAndKept(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"cut": `{"snapshot":"auth","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n", "version 9": `{"snapshot":"auth","version":9,"at":"2026-11-28T00:00:00Z"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "auth.ndjson")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			d := &dataFolder{dir: dir}
			err := d.startKept("auth.ndjson", func(r io.Reader) (*keptEmulator, error) {
				_, err := auth.Start("127.0.0.1:0", auth.Options{Snapshot: r})
				return nil, err
			})
			check.Error(t, "starting", err, name)
			check.Error(t, "starting", err, "-data: "+path+" cannot be used and was not changed: put a good copy in its place, or move it away")
			d.mustSave(t)
			check.Equal(t, filesIn(t, dir), map[string]string{"auth.ndjson": text}, "the files afterwards")
		})
	}
}

func TestNothingToKeepIsAFault(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"only FCM":      {func(o *Options) { o.WithFirestore, o.WithPubSub = false, false }, "this command starts none of them"},
		"other servers": {func(o *Options) { t.Setenv("FIRESTORE_EMULATOR_HOST", "h:1"); t.Setenv("PUBSUB_EMULATOR_HOST", "h:2") }, "this command starts none of them"},
		"no interval":   {func(o *Options) { o.DataEvery = 0 }, "-data-every: 0s, but the value must be above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FIRESTORE_EMULATOR_HOST", "")
			t.Setenv("PUBSUB_EMULATOR_HOST", "")
			o := Defaults()
			o.DataDir = "somewhere"
			if err := o.Check(); err != nil {
				t.Errorf("before the change the error is %v, want none", err)
			}
			c.change(&o)
			check.Error(t, "checking the options", o.Check(), c.want)
		})
	}
}

// TestOtherServersAreNotKept checks that the start says so.
func TestOtherServersAreNotKept(t *testing.T) {
	t.Parallel()
	d, _, _ := newFolder(t, t.TempDir())
	var out bytes.Buffer
	(&Cloud{data: d, FirestoreHost: "db.internal:8080"}).printLoaded(&out)
	check.Contains(t, out.String(), "Firestore is another server, db.internal:8080: -data does not keep it", "the start")
	if n := strings.Count(out.String(), "another server"); n != 1 {
		t.Errorf("the start names %d other servers, want 1: %s", n, out.String())
	}
}
