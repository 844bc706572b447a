package ops

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	scaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubelabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// decodeManifests reads manifests into the types of the Kubernetes API,
// strictly: a kind that it does not have, a field that a kind does not have, a
// field twice and a value of another type are errors.
func decodeManifests(text []byte) (list []runtime.Object, err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(apps.AddToScheme(scheme), core.AddToScheme(scheme), policy.AddToScheme(scheme), network.AddToScheme(scheme), scaling.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		o, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("manifest %d, %v: %w", len(list)+1, kind, err)
		}
		list = append(list, o)
	}
}

func manifests(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("kubernetes/archflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKubernetesSchema(t *testing.T) {
	text := manifests(t)
	if list, err := decodeManifests([]byte(text)); err != nil || len(list) != 8 {
		t.Fatalf("%d manifests, want 8: %v", len(list), err)
	}
	for what, mistake := range map[string][2]string{
		"a misspelt field":     {"terminationGracePeriodSeconds:", "terminationGracePeriod:"},
		"a field deep inside":  {"failureThreshold: 60", "failureTreshold: 60"},
		"a field misplaced":    {"  serviceName: archflow", "  clusterIP: None"},
		"a field twice":        {"  replicas: 2", "  replicas: 2\n  replicas: 3"},
		"a number as a word":   {"  replicas: 2", "  replicas: two"},
		"a quantity of a kind": {"memory: 512Mi", "memory: 512MiB"},
		"a variable unquoted":  {`OTEL_TRACES_SAMPLER_ARG: "0.01"`, "OTEL_TRACES_SAMPLER_ARG: 0.01"},
		"an unknown kind":      {"kind: PodDisruptionBudget", "kind: PodDisruptionBudge"},
		"an old version":       {"apiVersion: autoscaling/v2", "apiVersion: autoscaling/v2beta2"},
	} {
		t.Run(what, func(t *testing.T) {
			wrong := strings.Replace(text, mistake[0], mistake[1], 1)
			if wrong == text {
				t.Fatalf("%q is not there to be mistaken", mistake[0])
			}
			_, err := decodeManifests([]byte(wrong))
			if err == nil {
				t.Errorf("%q was taken", mistake[1])
			}
			t.Log(err)
		})
	}
}

// TestKubernetes checks properties that no schema has: selectors meet labels, the
// autoscaler scales an existing deployment by an existing metric, and every pod is
// probed, bounded and unprivileged.
func TestKubernetes(t *testing.T) {
	list, err := decodeManifests([]byte(manifests(t)))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	pods := map[string]kubelabels.Set{}
	selectors := map[string]*meta.LabelSelector{}
	for _, o := range list {
		kinds[o.GetObjectKind().GroupVersionKind().Kind]++
		switch o := o.(type) {
		case *apps.Deployment:
			pods["Deployment/"+o.Name], selectors[o.Name] = checkPod(t, o.Name, &o.Spec.Template), o.Spec.Selector
		case *apps.StatefulSet:
			pods["StatefulSet/"+o.Name], selectors[o.Name] = checkPod(t, o.Name, &o.Spec.Template), o.Spec.Selector
		case *policy.PodDisruptionBudget:
			selectors["budget of "+o.Name] = o.Spec.Selector
		case *network.NetworkPolicy:
			selectors["policy "+o.Name] = &o.Spec.PodSelector
			if len(o.Spec.Ingress) == 0 || len(o.Spec.Egress) == 0 {
				t.Errorf("the policy %s lets nothing through", o.Name)
			}
		case *core.Service:
			selectors["service "+o.Name] = &meta.LabelSelector{MatchLabels: o.Spec.Selector}
		}
	}
	for kind, n := range map[string]int{"Deployment": 1, "StatefulSet": 1, "PodDisruptionBudget": 2, "HorizontalPodAutoscaler": 1, "Service": 1, "ConfigMap": 1, "NetworkPolicy": 1} {
		if kinds[kind] != n {
			t.Errorf("%d of kind %s, want %d", kinds[kind], kind, n)
		}
	}
	for name, s := range selectors {
		selector, err := meta.LabelSelectorAsSelector(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		met := false
		for _, have := range pods {
			met = met || !selector.Empty() && selector.Matches(have)
		}
		if !met {
			t.Errorf("%s selects no pod: %v", name, selector)
		}
	}
	for _, o := range list {
		scaler, ok := o.(*scaling.HorizontalPodAutoscaler)
		if !ok {
			continue
		}
		of := scaler.Spec.ScaleTargetRef
		if _, ok := pods[of.Kind+"/"+of.Name]; !ok || !known()[scaler.Spec.Metrics[0].External.Metric.Name] {
			t.Errorf("the autoscaler scales %v by %v", of, scaler.Spec.Metrics)
		}
		if s := scaler.Spec.Metrics[0].External.Metric.Selector; s == nil || s.MatchLabels["topic"] != "archflow.architectures" {
			t.Errorf("the autoscaler counts the lag of every topic: %v", s)
		}
	}
}

// checkPod checks a pod and returns its labels.
func checkPod(t *testing.T, name string, pod *core.PodTemplateSpec) kubelabels.Set {
	t.Helper()
	spec := &pod.Spec
	if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot {
		t.Errorf("%s may run as root", name)
	}
	if s := spec.TerminationGracePeriodSeconds; s == nil || *s <= 30 {
		t.Errorf("%s is killed before it has drained", name)
	}
	if len(spec.Containers) != 1 {
		t.Fatalf("%s has %d containers", name, len(spec.Containers))
	}
	c := &spec.Containers[0]
	for path, probe := range map[string]*core.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
			t.Errorf("%s is not probed at %s", name, path)
		}
	}
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("%s may write its file system", name)
	}
	for _, v := range spec.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			t.Errorf("%s: the volume %s may fill the node", name, v.Name)
		}
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: resources %v", name, c.Resources)
	}
	return pod.Labels
}

// TestKubernetesSecure: the examples for TLS and SASL patch existing objects, with
// existing settings.
func TestKubernetesSecure(t *testing.T) {
	for name, head := range map[string]string{
		"secure.yaml.example":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: archflow}\n",
		"secure-pod.yaml.example": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: archflow-worker}\n",
	} {
		text, err := os.ReadFile("kubernetes/" + name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := decodeManifests([]byte(head + string(text)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c, ok := list[0].(*core.ConfigMap); ok && (c.Data["ARCHFLOW_SASL_PASSWORD_FILE"] == "" || c.Data["ARCHFLOW_TLS"] != "true") {
			t.Errorf("%s: %v", name, c.Data)
		}
	}
}
