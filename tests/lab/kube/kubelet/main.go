// Command kubelet stands in for a node's kubelet in the tests: it speaks the real streaming protocols, by Kubernetes'
// own code, and runs every command as a process of this machine instead of in a container.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// How long a stream may be without traffic, and how long a client may take to open its streams.
const (
	idle     = time.Hour
	creation = 30 * time.Second
)

// runtime runs commands here and forwards to ports of this machine.
type runtime struct{}

func (runtime) ExecInContainer(ctx context.Context, _, _, _ string, cmd []string, in io.Reader, out, err io.WriteCloser,
	tty bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if tty {
		cmd = []string{"script", "--quiet", "--return", "--flush", "--command", quoted(cmd), "/dev/null"}
	}
	child := exec.CommandContext(ctx, cmd[0], cmd[1:]...)
	child.Stdout, child.Stderr = out, err
	if err == nil {
		child.Stderr = out
	}
	// Not Stdin: Wait would then wait for a client that never closes its side.
	if in != nil {
		pipe, failed := child.StdinPipe()
		if failed != nil {
			return failed
		}
		go func() {
			io.Copy(pipe, in)
			pipe.Close()
		}()
	}
	return told(child.Run())
}

func (r runtime) AttachContainer(ctx context.Context, name, uid, container string, in io.Reader, out, err io.WriteCloser,
	tty bool, resize <-chan remotecommand.TerminalSize) error {
	return r.ExecInContainer(ctx, name, uid, container, []string{"cat"}, in, out, err, tty, resize, 0)
}

func (runtime) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	go func() { io.Copy(conn, stream); conn.(*net.TCPConn).CloseWrite(); done <- struct{}{} }()
	go func() { io.Copy(stream, conn); done <- struct{}{} }()
	<-done
	<-done
	return nil
}

// told turns the end of a process into what clients read as its exit status.
func told(err error) error {
	if exit, ok := err.(*exec.ExitError); ok {
		return utilexec.CodeExitError{Err: exit, Code: exit.ExitCode()}
	}
	return err
}

func quoted(cmd []string) string {
	words := make([]string, 0, len(cmd))
	for _, word := range cmd {
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}

func main() {
	addr := flag.String("listen", "127.0.0.1:0", "where to listen")
	cert := flag.String("cert", "", "the certificate's file")
	key := flag.String("key", "", "the key's file")
	ca := flag.String("client-ca", "", "the file of the authority of clients")
	flag.Parse()
	pem, err := os.ReadFile(*ca)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)

	mux := http.NewServeMux()
	mux.HandleFunc("/exec/", func(w http.ResponseWriter, r *http.Request) {
		options, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, r, runtime{}, "pod", "uid", "main", r.URL.Query()["command"], options, idle, creation,
			remotecommand.SupportedStreamingProtocols)
	})
	mux.HandleFunc("/attach/", func(w http.ResponseWriter, r *http.Request) {
		options, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeAttach(w, r, runtime{}, "pod", "uid", "main", options, idle, creation,
			remotecommand.SupportedStreamingProtocols)
	})
	mux.HandleFunc("/portForward/", func(w http.ResponseWriter, r *http.Request) {
		options, err := portforward.NewV4Options(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, r, runtime{}, "pod", "uid", options, idle, creation, portforward.SupportedProtocols)
	})
	mux.HandleFunc("/containerLogs/", func(w http.ResponseWriter, r *http.Request) {
		follow := r.URL.Query().Get("follow") == "true"
		for line := 0; line < 5 || follow; line++ {
			if _, err := fmt.Fprintf(w, "line %d\n", line); err != nil || r.Context().Err() != nil {
				return
			}
			if follow {
				w.(http.Flusher).Flush()
				time.Sleep(200 * time.Millisecond)
			}
		}
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12,
		// Upgrades are a matter of HTTP/1.1.
		NextProtos: []string{"http/1.1"},
	}}
	log.Fatal(server.ServeTLS(listener, *cert, *key))
}
