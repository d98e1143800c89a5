"""Build a monitor that accepts one class and reports everything else as an anomaly, at a chosen false-alarm rate.

python examples/anomaly_monitor.py MODEL [DATA]
"""

import sys
import tempfile

import torch

import robustfeat
from robustfeat import PGD, Eps, Threat
from robustfeat.tasks import Mahalanobis, load_task, save_task

model, data = sys.argv[1], (sys.argv[2:] or ["digits"])[0]
extractor = robustfeat.load(model)
side = extractor.card.architecture.image_size
train, test = (robustfeat.dataset(data, split, image_size=side) for split in ("train", "test[:100]"))
normal = train.take((train.require_labels() == 0).nonzero().squeeze(1))

# Two thirds of the normal images to learn from, the rest to set the threshold by.
features = torch.from_numpy(extractor.transform(normal))
cut = 2 * len(features) // 3
detector = Mahalanobis().fit(features[:cut]).calibrate(features[cut:], false_alarms=0.05)

# Production: the detector comes from the disk, for the extractor it was fitted with.
folder = save_task(detector, tempfile.mkdtemp(), extractor=extractor.digest())
monitor = load_task(folder, extractor=extractor.digest())

images, anomalous = test.batch(torch.arange(len(test))).images, test.require_labels() != 0
attack = PGD(Threat("linf", Eps("8/255")), steps=10)
attacked = attack(lambda x: -monitor.anomaly(extractor(x)), images)  # everything is made to look normal
for name, pictures in {"clean": images, "attacked": attacked}.items():
    alarms = monitor.predict(torch.from_numpy(extractor.transform(pictures)))
    print(
        f"{name}: {float(alarms[~anomalous].float().mean()):.1%} false alarms, "
        f"{float(alarms[anomalous].float().mean()):.1%} of the anomalies found"
    )
