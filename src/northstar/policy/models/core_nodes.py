"""Node classes that every ComfyUI server of the last two years has, so that no machine has to prove that it has them.

Written down from ComfyUI's own `nodes.py` and `comfy_extras` as they stood at the end of 2024, and kept small on purpose: a class
that is missing here costs a machine no more than to announce it, one that is wrongly here sends a job to a machine that cannot run it.
Classes that need more than torch (torchaudio, kornia) are left out: a server that lacks it starts without them.
"""

from __future__ import annotations

from typing import Final

_LOADING: Final = """
    CheckpointLoader CheckpointLoaderSimple CLIPLoader CLIPVisionLoader ControlNetLoader DiffControlNetLoader
    DiffusersLoader DualCLIPLoader GLIGENLoader HypernetworkLoader ImageOnlyCheckpointLoader LoraLoader LoraLoaderModelOnly
    PhotoMakerLoader StyleModelLoader TripleCLIPLoader UNETLoader unCLIPCheckpointLoader UpscaleModelLoader VAELoader
    LoadImage LoadImageMask LoadLatent
"""
_TEXT: Final = """
    CLIPAttentionMultiply CLIPMergeAdd CLIPMergeSimple CLIPMergeSubtract CLIPSetLastLayer CLIPTextEncode
    CLIPTextEncodeControlnet CLIPTextEncodeFlux CLIPTextEncodeHunyuanDiT CLIPTextEncodeSD3 CLIPTextEncodeSDXL
    CLIPTextEncodeSDXLRefiner CLIPVisionEncode ConditioningCombine ConditioningConcat ConditioningSetArea
    ConditioningSetAreaPercentage ConditioningSetAreaStrength ConditioningSetMask ConditioningSetTimestepRange
    ConditioningZeroOut ControlNetApply ControlNetApplyAdvanced ControlNetApplySD3 ControlNetInpaintingAliMamaApply
    FluxGuidance GLIGENTextBoxApply InpaintModelConditioning InstructPixToPixConditioning PhotoMakerEncode
    SetUnionControlNetType StyleModelApply unCLIPConditioning SVD_img2vid_Conditioning StableZero123_Conditioning
    StableZero123_Conditioning_Batched SD_4XUpscale_Conditioning StableCascade_StageB_Conditioning
    StableCascade_SuperResolutionControlnet
"""
_LATENTS: Final = """
    EmptyLatentImage EmptyMochiLatentVideo EmptySD3LatentImage LatentAdd LatentApplyOperation LatentApplyOperationCFG
    LatentBatch LatentBatchSeedBehavior LatentBlend LatentComposite LatentCompositeMasked LatentCrop LatentFlip
    LatentFromBatch LatentInterpolate LatentMultiply LatentOperationSharpen LatentOperationTonemapReinhard LatentRotate
    LatentSubtract LatentUpscale LatentUpscaleBy RebatchLatents RepeatLatentBatch SetLatentNoiseMask
    StableCascade_EmptyLatentImage StableCascade_StageC_VAEEncode VAEDecode VAEDecodeTiled VAEEncode VAEEncodeForInpaint
    VAEEncodeTiled
"""
_SAMPLING: Final = """
    AddNoise AlignYourStepsScheduler BasicGuider BasicScheduler BetaSamplingScheduler CFGGuider DisableNoise DualCFGGuider
    ExponentialScheduler FlipSigmas GITSScheduler KarrasScheduler KSampler KSamplerAdvanced KSamplerSelect LaplaceScheduler
    PolyexponentialScheduler RandomNoise SamplerCustom SamplerCustomAdvanced SamplerDPMAdaptative SamplerDPMPP_2M_SDE
    SamplerDPMPP_2S_Ancestral SamplerDPMPP_3M_SDE SamplerDPMPP_SDE SamplerEulerAncestral SamplerEulerAncestralCFGPP
    SamplerEulerCFGpp SamplerLCMUpscale SamplerLMS SDTurboScheduler SplitSigmas SplitSigmasDenoise VideoLinearCFGGuidance
    VideoTriangleCFGGuidance VPScheduler
"""
_MODELS: Final = """
    CheckpointSave CLIPSave DifferentialDiffusion FreeU FreeU_V2 HyperTile ImageOnlyCheckpointSave ModelMergeAdd
    ModelMergeBlocks ModelMergeFlux1 ModelMergeSD1 ModelMergeSD2 ModelMergeSD3_2B ModelMergeSDXL ModelMergeSimple
    ModelMergeSubtract ModelSamplingAuraFlow ModelSamplingContinuousEDM ModelSamplingContinuousV ModelSamplingDiscrete
    ModelSamplingFlux ModelSamplingSD3 ModelSamplingStableCascade ModelSave PatchModelAddDownscale PerpNeg PerpNegGuider
    PerturbedAttentionGuidance RescaleCFG SelfAttentionGuidance SkipLayerGuidanceSD3 TomePatchModel TorchCompileModel
    UNetCrossAttentionMultiply UNetSelfAttentionMultiply UNetTemporalAttentionMultiply VAESave
"""
_PICTURES: Final = """
    CropMask FeatherMask GrowMask ImageBatch ImageBlend ImageBlur ImageColorToMask ImageCompositeMasked ImageCrop
    ImageFromBatch ImageInvert ImagePadForOutpaint ImageQuantize ImageScale ImageScaleBy ImageScaleToTotalPixels
    ImageSharpen ImageToMask ImageUpscaleWithModel InvertMask JoinImageWithAlpha MaskComposite MaskToImage
    PorterDuffImageComposite PreviewImage RebatchImages RepeatImageBatch SaveAnimatedPNG SaveAnimatedWEBP SaveImage
    SaveLatent SolidMask SplitImageWithAlpha ThresholdMask EmptyImage
"""

#: ComfyUI writes it with a blank behind it.
_WITH_BLANK: Final = "ConditioningAverage "

CORE_NODE_CLASSES: Final[frozenset[str]] = frozenset(
    (_LOADING + _TEXT + _LATENTS + _SAMPLING + _MODELS + _PICTURES).split()
) | {_WITH_BLANK}
