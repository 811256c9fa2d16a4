//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// dryRun puts everything that the goldens of gitops/render hold to the API server, and
// the pods that would come of it to the rules of their namespace: its Pod Security
// Standard, its quota and its limits.
func dryRun(s *scene) {
	files, err := filepath.Glob("../../gitops/render/testdata/golden/*.txtar")
	if err != nil || len(files) == 0 {
		s.Fatalf("%d goldens, %v", len(files), err)
	}
	kinds := map[string]int{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		s.must(err)
		files := make([]gitops.File, len(archive.Files))
		for i, f := range archive.Files {
			files[i] = gitops.File{Path: f.Name, Content: f.Data}
		}
		for _, object := range bounded(s, files) {
			kinds[object.GetAPIVersion()+"/"+object.GetKind()]++
			content, err := object.MarshalJSON()
			s.must(err)
			if err := try(s, object, content); err != nil {
				s.Errorf("%s: %v", filepath.Base(file), err)
			}
			if err := tryPod(s, object); err != nil {
				s.Errorf("%s: the pod of %s %s: %v", filepath.Base(file), object.GetKind(), object.GetName(), err)
			}
		}
	}
	for _, kind := range render.Kinds() {
		if kinds[kind] == 0 {
			s.Errorf("no golden has a %s", kind)
		}
	}
	s.Logf("%d goldens: %v", len(files), kinds)
}

// try checks an object. The namespace and what bounds it are made: the rest can only be
// tried where they are.
func try(s *scene, object *unstructured.Unstructured, content []byte) error {
	switch object.GetKind() {
	case "Namespace":
		s.Cleanup(func() {
			_ = s.objects(namespaces, "").Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}) // several goldens have the same
		})
	case "LimitRange", "ResourceQuota":
	default:
		return s.cluster.Check(s.ctx, content)
	}
	if err := s.cluster.Apply(s.ctx, content); err != nil || object.GetKind() != "ResourceQuota" {
		return err
	}
	s.await("the quota counts", func() error {
		found, err := s.objects(object.GroupVersionKind(), object.GetNamespace()).Get(s.ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		asked, _, _ := unstructured.NestedMap(found.Object, "spec", "hard")
		counted, _, _ := unstructured.NestedMap(found.Object, "status", "hard")
		if !reflect.DeepEqual(asked, counted) {
			return fmt.Errorf("it asks for %v and counts %v", asked, counted)
		}
		return nil
	})
	return nil
}

// bounded are the objects of an environment's files, the namespace first and what bounds it
// next.
func bounded(s *scene, files []gitops.File) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, file := range files {
		if !strings.Contains(file.Path, "/manifests/") {
			continue
		}
		objects, err := clustertest.Decode(file.Content)
		s.must(err)
		out = append(out, objects...)
	}
	order := []string{"ResourceQuota", "LimitRange", "Namespace"}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int {
		return slices.Index(order, b.GetKind()) - slices.Index(order, a.GetKind())
	})
	return out
}

// tryPod tries the pod that a template asks for.
func tryPod(s *scene, object *unstructured.Unstructured) error {
	path := map[string][]string{
		"Deployment": {"spec", "template"}, "Rollout": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"}, "Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
	}[object.GetKind()]
	if path == nil {
		return nil
	}
	template, _, err := unstructured.NestedMap(object.Object, path...)
	if err != nil {
		return err
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetGroupVersionKind(pods)
	pod.SetName("tried")
	pod.SetNamespace(object.GetNamespace())
	_, err = s.objects(pods, object.GetNamespace()).Create(s.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// podsLog: what a pod has logged can be had with idp's own token, by way of Argo CD, the
// API server and the kubelet.
func podsLog(s *scene) {
	c := s.opened("logged")
	c.ready()
	s.must(s.cluster.Log("listening on :8080", "panic: no such table: payments"))
	s.Cleanup(func() { _ = s.cluster.Log("listening on :8080") })
	name := c.name()
	pod := s.podsOf(name)[0].GetName()
	query := url.Values{"namespace": {name}, "podName": {pod}, "container": {"web"}, "tailLines": {"20"}}
	s.await("Argo CD shows what the pod has logged", func() error {
		answer, err := s.fetch("/api/v1/applications/" + name + "/logs?" + query.Encode())
		if err == nil && (!strings.Contains(answer, "panic: no such table: payments") || !strings.Contains(answer, "listening on")) {
			err = fmt.Errorf("it shows %q", answer)
		}
		return err
	})
	c.pr.Close("alice")
	c.gone("Preview removed")
}

// fetch asks Argo CD with idp's token for what is no single JSON object.
func (s *scene) fetch(path string) (string, error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.cluster.ArgoCD+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.read)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", resp.Status)
	}
	return string(content), err
}

// prometheusScrapes: the Prometheus that analyses of rollouts ask is a real one, which
// scrapes whom tests name.
func prometheusScrapes(s *scene) {
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "e2e_requests_total{code=\"500\"} 42\n")
	}))
	s.Cleanup(exporter.Close)
	s.must(s.cluster.Scrape(strings.TrimPrefix(exporter.URL, "http://")))
	s.Cleanup(func() { _ = s.cluster.Scrape() })
	s.await("Prometheus has the exporter's figure", func() error {
		resp, err := http.Get(s.cluster.Prometheus + "/api/v1/query?query=" + url.QueryEscape(`e2e_requests_total{code="500"}`))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return err
		}
		if len(answer.Data.Result) != 1 || answer.Data.Result[0].Value[1] != "42" {
			return fmt.Errorf("it answers %v", answer)
		}
		return nil
	})
}

// TestEndToEndDevcluster starts devcluster as a person does and ends it as people do:
// nothing is left of it.
func TestEndToEndDevcluster(t *testing.T) {
	program := secrettest.Given(filepath.Join(secrettest.Dir(t), "devcluster")) // it holds what private keys begin with
	if out, err := exec.Command("go", "build", "-o", program, "../devcluster").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		name   string
		signal os.Signal
		after  string
	}{
		{"interrupted while it runs", os.Interrupt, "Everything is up"},
		{"terminated while it starts", syscall.SIGTERM, "start kube-apiserver"},
	} {
		t.Run(c.name, func(t *testing.T) {
			temp, log := secrettest.Dir(t), newWatchedLog(t)
			cmd := exec.Command(program, "up")
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
			log.awaitText(t, c.after)
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(longest):
				t.Fatal("it does not end")
			}
			left, err := os.ReadDir(temp)
			if err != nil || len(left) > 0 {
				t.Errorf("%v is left of it, %v", left, err)
			}
			if alive := processesNaming(t, temp); len(alive) > 0 {
				t.Errorf("these processes are left of it: %q", alive)
			}
		})
	}
}

// awaitText waits for a text for as long as a cluster takes.
func (l *watchedLog) awaitText(t *testing.T, text string) {
	t.Helper()
	late := time.After(longest)
	for {
		so, changed := l.now()
		if strings.Contains(so, text) {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %q in the log:\n%s", text, so)
		}
	}
}

// processesNaming are the command lines of this machine's processes that name a folder.
func processesNaming(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d processes, %v", len(files), err)
	}
	var out []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), folder) { // one that has ended meanwhile has no line
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}
