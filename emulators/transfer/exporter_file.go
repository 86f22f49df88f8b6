package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// exportToFile writes to FILE.part, and renames it when it is complete. So FILE is never
// incomplete, and the former FILE stays until then.
func (x *exporter) exportToFile(ctx context.Context, name string, goOn bool, out io.Writer) error {
	part := name + ".part"
	f, err := openPart(name, part, goOn)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}

	defer f.Close()
	if goOn {
		if err := x.resumePart(f); err != nil {
			return fmt.Errorf("export: %s: %w", part, err)
		}
	}

	x.out = bufio.NewWriter(f)
	if err = x.exportAll(ctx); err == nil {
		err = f.Sync() // before the rename, so that FILE is complete even after a power failure
	}

	switch {
	case err != nil && x.customers == 0:
		return errors.Join(err, os.Remove(part)) // an empty part is useless
	case err != nil:
		return fmt.Errorf("%w (go on with -continue: %s has what came)", err, part)
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}

	fmt.Fprintf(out, "%d customers exported to %s\n", x.customers, name)
	return nil
}

// openPart creates the part, or opens the existing one if goOn is true. It does not open
// an existing part without goOn: the part may be old, may come from another deployment,
// or another process may be writing it.
func openPart(name, part string, goOn bool) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file to be replaced; - is standard output", name)
	}
	if goOn {
		f, err := os.OpenFile(part, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("-continue: there is no %s", part)
		}
		return f, err
	}

	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there from an export that broke off or still runs: go on with -continue, or remove it", part)
	}
	return f, err
}

// resumePart reads a part up to its last complete line, and removes an incomplete line
// behind it.
func (x *exporter) resumePart(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}

	whole := int64(0)
	for r := bufio.NewReaderSize(f, maxLineBytes); ; {
		line, err := wholeLine(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			_, err = x.recordLine(line)
		}
		if err != nil {
			return fmt.Errorf("behind %d customers: %w", x.customers, err)
		}
		whole += int64(len(line))
	}
	if x.customers > 0 {
		x.bar.Say(fmt.Sprintf("going on behind %d customers, who are as they were until %s", x.customers, info.ModTime().Format(time.DateTime)))
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return err
}
