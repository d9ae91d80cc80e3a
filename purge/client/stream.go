package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/tenantpurge/purger/store"
)

// Export writes every tenant and resource to w as NDJSON. It returns an error
// when the stream was cut off, however much was written by then.
func (c *Client) Export(ctx context.Context, w io.Writer) (ExportSummary, error) {
	var sum ExportSummary
	res, err := c.send(ctx, http.MethodGet, "/export", nil, nil, "")
	if err != nil {
		return sum, err
	}
	defer res.Body.Close()
	if err := copyBody(ctx, "/export", w, res.Body); err != nil {
		return sum, err
	}
	if s := res.Trailer.Get(TrailerError); s != "" {
		var body ErrorBody
		if err := json.Unmarshal([]byte(s), &body); err != nil {
			return sum, cutOff(ctx, http.MethodGet, "/export", err)
		}
		return sum, body.err(http.StatusInternalServerError)
	}
	// A summary is sent last of all: without it the stream is not complete.
	if err := json.Unmarshal([]byte(res.Trailer.Get(TrailerSummary)), &sum); err != nil {
		return sum, cutOff(ctx, http.MethodGet, "/export", io.ErrUnexpectedEOF)
	}
	return sum, nil
}

// Backup writes a copy of the store to w and returns its size in bytes. It
// returns an error when other than the announced number of bytes came.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	res, err := c.send(ctx, http.MethodGet, "/store/backup", nil, nil, "")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.ContentLength < 0 {
		return 0, store.Errorf(store.Internal, "GET /store/backup: the answer does not say how long it is")
	}
	// The transport fails a body that is shorter than announced.
	if err := copyBody(ctx, "/store/backup", w, res.Body); err != nil {
		return 0, err
	}
	return res.ContentLength, nil
}

// copyBody copies a body. What w returns is returned as it is; what the body
// returns is an answer that was cut off.
func copyBody(ctx context.Context, path string, w io.Writer, body io.Reader) error {
	src := &sourceError{r: body}
	if _, err := io.Copy(w, src); err != nil {
		if cause := src.err(); cause != nil {
			return cutOff(ctx, http.MethodGet, path, cause)
		}
		return err
	}
	return nil
}

// sourceError remembers the error of a reader, so that it can be told from the
// error of the writer.
type sourceError struct {
	r     io.Reader
	first atomic.Pointer[error] // a request's body is read by the transport
}

// Read implements io.Reader.
func (s *sourceError) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.first.CompareAndSwap(nil, &err)
	}
	return n, err
}

// err returns the error of the reader, nil when it had none.
func (s *sourceError) err() error {
	if err := s.first.Load(); err != nil {
		return *err
	}
	return nil
}

// Import sends NDJSON. progress, which may be nil, is called for each report
// that comes back. A refused input is an *ImportError; an error of r is returned
// as it is. The import goes on in the daemon only as long as ctx and the
// connection live. A read of r that is under way when Import returns is not
// waited for.
func (c *Client) Import(ctx context.Context, r io.Reader, o ImportOptions, progress func(ImportProgress)) (ImportSummary, error) {
	q := url.Values{}
	if o.DryRun {
		q.Set("dryRun", "true")
	}
	if o.OnConflict != "" {
		q.Set("onConflict", o.OnConflict)
	}
	if o.Supersede {
		q.Set("supersede", "true")
	}
	// Through a pipe, since the transport waits for the reader of a body even
	// when ctx has ended, and r may be a terminal that says nothing.
	src := &sourceError{r: r}
	body, pipe := io.Pipe()
	defer func() { _ = body.Close() }() // never fails
	stop := context.AfterFunc(ctx, func() { _ = body.CloseWithError(context.Cause(ctx)) })
	defer stop()
	go func() {
		_, err := io.Copy(pipe, src)
		_ = pipe.CloseWithError(err) // nil is the end
	}()
	res, err := c.send(ctx, http.MethodPost, "/import", q, body, ContentNDJSON)
	if err != nil {
		return ImportSummary{}, cmp.Or(src.err(), err)
	}
	defer res.Body.Close()
	sum, refusal, cut := readImport(res.Body, progress)
	if cut != nil {
		return sum, cmp.Or(src.err(), cutOff(ctx, http.MethodPost, "/import", cut))
	}
	return sum, refusal
}

// readImport reads events up to the summary or the error. cut is what ended an
// answer before that.
func readImport(body io.Reader, progress func(ImportProgress)) (sum ImportSummary, refusal, cut error) {
	dec := json.NewDecoder(bufio.NewReader(body))
	for {
		var e ImportEvent
		if err := dec.Decode(&e); err != nil {
			return sum, nil, err
		}
		switch {
		case e.Summary != nil:
			return *e.Summary, nil, nil
		case e.Error != nil:
			return sum, e.Error.importErr(), nil
		case e.Progress != nil && progress != nil:
			progress(*e.Progress)
		}
	}
}
